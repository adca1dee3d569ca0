# Debian's cross compiler for arm64 (crossbuild-essential-arm64) with the libraries of `dpkg --add-architecture arm64`; what is
# built runs under qemu-user. CMAKE_TOOLCHAIN_FILE in the environment names this file for scripts/setup-engine.sh too.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
set(PKG_CONFIG_EXECUTABLE /usr/bin/aarch64-linux-gnu-pkg-config)
find_program(HEADWATER_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(HEADWATER_QEMU)
    set(CMAKE_CROSSCOMPILING_EMULATOR "${HEADWATER_QEMU}")
endif()
