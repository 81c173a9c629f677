# What every package's files have in common. Each install() names its package by COMPONENT: "target" is the driver for
# the machine that has tgtd, "initiator" what helps on the other side. package.cmake makes packages of them.

find_program(GZIP gzip REQUIRED)

# compress(TARGET FILE OUTPUT): without time and name, so that the same source makes the same package.
function(compress target file output)
  add_custom_command(OUTPUT ${output} COMMAND ${GZIP} -9nc ${file} > ${output} DEPENDS ${file} VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${output})
endfunction()

# install_manual(PAGE COMPONENT): a manual page, compressed as Debian wants it; man(1) reads it so everywhere.
function(install_manual page component)
  get_filename_component(name ${page} NAME)
  string(REGEX MATCH "[0-9]$" section ${name})
  set(packed ${CMAKE_CURRENT_BINARY_DIR}/${name}.gz)
  compress(packed-${name} ${page} ${packed})
  install(FILES ${packed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endfunction()

# install_legal(PACKAGE COMPONENT): the copyright and the changelog that a package of Debian has.
function(install_legal PACKAGE component)
  set(source ${PROJECT_SOURCE_DIR}/contrib/package)
  set(changes ${CMAKE_CURRENT_BINARY_DIR}/${PACKAGE}.changes)
  configure_file(${source}/changelog ${changes} @ONLY)
  compress(packed-${PACKAGE}.changes ${changes} ${changes}.gz)
  set(folder ${CMAKE_INSTALL_DATAROOTDIR}/doc/${PACKAGE})
  install(FILES ${source}/copyright DESTINATION ${folder} COMPONENT ${component})
  install(FILES ${changes}.gz DESTINATION ${folder} RENAME changelog.gz COMPONENT ${component})
endfunction()
