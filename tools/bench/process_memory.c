/* process_memory.c - lines "NAME:  N kB" of files in /proc. */
#include "process_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t read_kilobytes(const char *path, const char *name) {
    char line[256];
    uint64_t kilobytes = 0;
    FILE *in = fopen(path, "r");
    if (!in) return 0;
    while (fgets(line, sizeof line, in))
        if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), "%" SCNu64, &kilobytes) == 1) break;
    fclose(in);
    return kilobytes * 1024;
}

uint64_t bench_memory_peak(void) { return read_kilobytes("/proc/self/status", "VmHWM:"); }
uint64_t bench_memory_available(void) { return read_kilobytes("/proc/meminfo", "MemAvailable:"); }
