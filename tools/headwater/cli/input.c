/* input.c - a prompt or another input from a file or standard input, byte for byte but for a byte order mark. */
#include "cli/input.h"

#include "cli/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20 }; /* some millions of tokens: beyond any context, so it is the wrong file */

/* False when memory runs out or the file goes on beyond the limit; errno is 0 for the latter. */
static bool read_all(input *in, FILE *file) {
    size_t room = 0;
    do {
        size_t more = room ? room * 2 : 1 << 16;
        char *grown = realloc(in->bytes, more);
        if (!grown) return false;
        in->bytes = grown;
        room = more;
        in->n += fread(in->bytes + in->n, 1, room - in->n, file);
    } while (in->n == room && room <= MOST_BYTES);
    errno = ferror(file) ? errno : 0;
    return !ferror(file) && in->n <= MOST_BYTES;
}

/* Editors put a byte order mark before UTF-8; it is no part of the text. */
static void drop_mark(input *in) {
    static const char mark[] = "\xEF\xBB\xBF";
    enum { N_MARK = sizeof mark - 1 };
    if (in->n < N_MARK || memcmp(in->bytes, mark, N_MARK) != 0) return;
    in->n -= N_MARK;
    memmove(in->bytes, in->bytes + N_MARK, in->n);
}

bool input_read(input *in, const char *what, const char *path) {
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    *in = (input){.n = 0};
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) {
        fail("%s %s: %s", what, name, strerror(errno));
        return false;
    }
    bool ok = read_all(in, file);
    if (!ok && errno) fail("%s %s: %s", what, name, strerror(errno));
    if (!ok && !errno) fail("%s %s: more than %d MiB; a prompt can have at most that", what, name, MOST_BYTES >> 20);
    if (!standard) fclose(file);
    if (ok) drop_mark(in);
    if (ok) return true;
    free(in->bytes);
    return false;
}
