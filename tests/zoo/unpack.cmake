# Unpacks the archives of folder FROM into folder TO, in place of what lay there.
file(REMOVE_RECURSE "${TO}")
file(GLOB archives "${FROM}/*.tar.xz")
foreach(archive IN LISTS archives)
    file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${TO}")
endforeach()
file(WRITE "${TO}/unpacked" "")
