# What a Python wheel carries inside the package `headwater`, as the install component `wheel` (pyproject.toml): the library,
# the program, its modules, the engine with one CPU backend per processor type, and OpenBLAS. A wheel has no symbolic links,
# so each library is one file by the name that the loader looks for. scripts/make_wheel.py then has auditwheel add the other
# libraries that these need.

set_target_properties(headwater PROPERTIES VERSION ${PROJECT_VERSION_MAJOR})
install(TARGETS headwater LIBRARY DESTINATION lib NAMELINK_SKIP COMPONENT wheel EXCLUDE_FROM_ALL)
install(TARGETS headwater_cli RUNTIME DESTINATION bin COMPONENT wheel EXCLUDE_FROM_ALL)
install(TARGETS headwater_figure LIBRARY DESTINATION lib/headwater COMPONENT wheel EXCLUDE_FROM_ALL)
set_target_properties(headwater_figure PROPERTIES INSTALL_RPATH "$ORIGIN/..:$ORIGIN")
if(TARGET headwater_templates)
    install(TARGETS headwater_templates LIBRARY DESTINATION lib/headwater COMPONENT wheel EXCLUDE_FROM_ALL)
endif()

# headwater_wheel_library(<file> <name>): a copy in lib/headwater, by that name.
function(headwater_wheel_library file name)
    file(REAL_PATH "${file}" whole)
    install(FILES "${whole}" RENAME "${name}" DESTINATION lib/headwater COMPONENT wheel EXCLUDE_FROM_ALL
        PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endfunction()

if(ENGINE_BUNDLED)
    file(GLOB _engine_libraries "${ENGINE_LIB_DIR}/lib*.so.?" "${ENGINE_LIB_DIR}/libggml-*.so")
    list(FILTER _engine_libraries EXCLUDE REGEX "/libggml-base\\.so$")
    foreach(_file IN LISTS _engine_libraries)
        get_filename_component(_name "${_file}" NAME)
        headwater_wheel_library("${_file}" "${_name}")
    endforeach()
    install(FILES "${ENGINE_PREFIX}/LICENSE" OPTIONAL RENAME LICENSE.llama.cpp
        DESTINATION lib/headwater COMPONENT wheel EXCLUDE_FROM_ALL)
endif()
headwater_wheel_library("${HEADWATER_BLAS_FILE}" "${HEADWATER_BLAS_SONAME}")

# The manylinux rules expect these on every machine, but servers and small containers lack them. Figures need them: the module
# names them itself, so that the loader takes these copies also for the libraries that auditwheel adds.
foreach(_name libglib-2.0.so.0 libgobject-2.0.so.0 libX11.so.6 libXext.so.6 libXrender.so.1 libexpat.so.1)
    find_library(_found_${_name} NAMES "${_name}" REQUIRED NO_CACHE)
    headwater_wheel_library("${_found_${_name}}" "${_name}")
    target_link_libraries(headwater_figure PRIVATE "-Wl,--no-as-needed" "${_found_${_name}}")
endforeach()
