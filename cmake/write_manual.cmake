# write_manual.cmake - FOLDER/headwater.1 and a page for each command that PROGRAM lists.

function(write_page name)
    execute_process(COMMAND ${PROGRAM} manual ${ARGN} OUTPUT_VARIABLE page COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE "${FOLDER}/${name}.1" "${page}")
endfunction()

file(REMOVE_RECURSE "${FOLDER}")
execute_process(COMMAND ${PROGRAM} complete help "" OUTPUT_VARIABLE commands COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+\t" commands "${commands}")
foreach(command IN LISTS commands)
    string(STRIP "${command}" command)
    write_page(headwater-${command} ${command})
endforeach()
write_page(headwater)
