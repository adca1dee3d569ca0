/* gguf.c - see gguf.h; ggml parses the metadata and defines the quantised types. A model split into several files has
 * several parts. */
#include "engine/llama/file/gguf.h"

#include "base/atomic_file.h"
#include "base/background.h"
#include "base/sha256.h"
#include "engine/llama/device/guarded.h"

#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One file of a model. */
typedef struct part {
    FILE *file;
    struct gguf_context *gguf;
    char *path;
} part;

struct hw__gguf {
    part *parts; /* [n_parts] */
    size_t n_parts;
    char metadata_sha256[HW__SHA256_CAPACITY], sample_sha256[HW__SHA256_CAPACITY];
    hw__background hashing;
    hw_err hash_rc;
    hw_error hash_err;
};

static hw_err check_magic(const part *g, hw_error *err) {
    unsigned char magic[4];
    if (fread(magic, 1, 4, g->file) != 4)
        return hw__fail(err, HW_ERR_FORMAT, "%s: shorter than a GGUF header", g->path);
    if (memcmp(magic, "GGUF", 4) != 0)
        return hw__fail(err, HW_ERR_FORMAT, "%s: not a GGUF file (begins with bytes %02x %02x %02x %02x, not \"GGUF\")",
                        g->path, magic[0], magic[1], magic[2], magic[3]);
    return HW_OK;
}

/* Checks that every tensor's bytes lie inside the file. */
static hw_err check_extent(const part *g, size_t file_bytes, hw_error *err) {
    size_t data = gguf_get_data_offset(g->gguf);
    for (int64_t i = 0; i < gguf_get_n_tensors(g->gguf); i++) {
        size_t end;
        if (!hw__add(&end, data, gguf_get_tensor_offset(g->gguf, i)) ||
            !hw__add(&end, end, gguf_get_tensor_size(g->gguf, i)) || end > file_bytes)
            return hw__fail(err, HW_ERR_FORMAT, "%s: truncated: tensor %s ends at byte %zu, the file has %zu", g->path,
                            gguf_get_tensor_name(g->gguf, i), end, file_bytes);
    }
    return HW_OK;
}

/* FNV-1a, 32 bits. */
static uint32_t hash_of(const char *text) {
    uint32_t hash = 2166136261u;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *find_twin_by_sorting(const char **tokens, size_t n) {
    qsort(tokens, n, sizeof *tokens, by_text);
    for (size_t i = 1; i < n; i++)
        if (tokens[i][0] && strcmp(tokens[i - 1], tokens[i]) == 0) return tokens[i];
    return NULL;
}

/* Finds a token that occurs twice in tokens [n], ignoring ""; NULL if there is none. table [n_slots], a power of two
 * and at least 2 n, zeroed, is a hash table of indices from 1; if texts collide more often than by chance the tokens
 * are sorted instead. */
static const char *find_twin(uint32_t *table, size_t n_slots, const char **tokens, size_t n) {
    size_t n_probes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t slot = hash_of(tokens[i]) & (n_slots - 1);
        if (!tokens[i][0]) continue;
        for (; table[slot]; slot = (slot + 1) & (n_slots - 1)) {
            if (strcmp(tokens[table[slot] - 1], tokens[i]) == 0) return tokens[i];
            if (++n_probes > 16 * n) return find_twin_by_sorting(tokens, n);
        }
        table[slot] = (uint32_t)i + 1;
    }
    return NULL;
}

/* libllama aborts if a token occurs twice in the vocabulary. */
static hw_err check_vocabulary(const part *g, hw_error *err) {
    int64_t key = gguf_find_key(g->gguf, "tokenizer.ggml.tokens");
    if (key < 0 || gguf_get_kv_type(g->gguf, key) != GGUF_TYPE_ARRAY ||
        gguf_get_arr_type(g->gguf, key) != GGUF_TYPE_STRING)
        return HW_OK;
    size_t n = gguf_get_arr_n(g->gguf, key), n_slots = 2;
    if (n >= UINT32_MAX / 2) return hw__fail(err, HW_ERR_FORMAT, "%s: a vocabulary of %zu tokens", g->path, n);
    while (n_slots < 2 * n) n_slots *= 2;
    const char **tokens = hw__alloc(n, sizeof *tokens);
    uint32_t *table = hw__alloc(n_slots, sizeof *table);
    hw_err rc = tokens && table ? HW_OK : hw__fail_memory(err, "the vocabulary", n, sizeof *tokens + 2 * sizeof *table);
    for (size_t i = 0; rc == HW_OK && i < n; i++) tokens[i] = gguf_get_arr_str(g->gguf, key, i);
    const char *twin = rc == HW_OK ? find_twin(table, n_slots, tokens, n) : NULL;
    if (twin)
        rc = hw__fail(err, HW_ERR_FORMAT, "%s: its vocabulary holds a token of %zu bytes twice", g->path, strlen(twin));
    free(tokens);
    free(table);
    return rc;
}

/* Bytes [n] of the file from `offset` on. */
static hw_err read_at(const part *g, void *to, size_t n, size_t offset, const char *name, hw_error *err) {
    if (hw__file_read_at(g->file, to, n, offset)) return HW_OK;
    if (errno) return hw__fail(err, HW_ERR_IO, "%s: %s", g->path, strerror(errno));
    return hw__fail(err, HW_ERR_IO, "%s: tensor %s could not be read", g->path, name);
}

static hw_err hash_head(const part *g, hw__sha256 *hash, hw_error *err) {
    unsigned char buffer[65536];
    size_t n = gguf_get_data_offset(g->gguf);
    bool ok = true;
    for (size_t at = 0; ok && at < n; at += sizeof buffer) {
        size_t take = n - at < sizeof buffer ? n - at : sizeof buffer;
        ok = hw__file_read_at(g->file, buffer, take, at);
        if (ok) hw__sha256_add(hash, buffer, take);
    }
    return ok ? HW_OK : hw__fail(err, HW_ERR_IO, "%s: its metadata could not be read", g->path);
}

/* Hashes the first, the middle and the last SAMPLE bytes, or all if the tensor is smaller. Loading reads them anyway;
 * these are read in file order. */
static hw_err hash_tensor(const part *g, hw__sha256 *hash, int64_t id, hw_error *err) {
    enum { SAMPLE = 4096, N_SAMPLES = 3 };
    unsigned char buffer[SAMPLE * N_SAMPLES];
    size_t begin = gguf_get_data_offset(g->gguf) + gguf_get_tensor_offset(g->gguf, id),
           n = gguf_get_tensor_size(g->gguf, id), n_samples = n > sizeof buffer ? N_SAMPLES : 1,
           take = n_samples > 1 ? SAMPLE : n;
    for (size_t i = 0; i < n_samples; i++) {
        size_t at = n_samples > 1 ? (n - SAMPLE) / (N_SAMPLES - 1) * i : 0;
        hw_err rc = read_at(g, buffer, take, begin + at, gguf_get_tensor_name(g->gguf, id), err);
        if (rc != HW_OK) return rc;
        hw__sha256_add(hash, buffer, take);
    }
    return HW_OK;
}

/* Computes both hashes over all files in order. */
static void hash_parts(void *ctx) {
    hw__gguf *g = ctx;
    hw__sha256 hash;
    hw_err rc = HW_OK;
    hw_error *err = &g->hash_err;
    hw__sha256_begin(&hash);
    for (size_t i = 0; rc == HW_OK && i < g->n_parts; i++) rc = hash_head(&g->parts[i], &hash, err);
    if (rc == HW_OK) hw__sha256_hex(&hash, g->metadata_sha256);
    for (size_t p = 0; p < g->n_parts; p++)
        for (int64_t i = 0; rc == HW_OK && i < gguf_get_n_tensors(g->parts[p].gguf); i++)
            rc = hash_tensor(&g->parts[p], &hash, i, err);
    if (rc == HW_OK) hw__sha256_hex(&hash, g->sample_sha256);
    g->hash_rc = rc;
}

hw_err hw__gguf_finish_hashes(hw__gguf *g, hw_error *err) {
    hw__background_wait(&g->hashing);
    if (g->hash_rc != HW_OK && err) *err = g->hash_err;
    return g->hash_rc;
}

/* Parses from memory: ggml's own reads, one for each of some 100,000 strings, take three times as long. */
static hw_err parse(part *g, size_t file_bytes, hw_error *err) {
    void *bytes = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, fileno(g->file), 0);
    if (bytes == MAP_FAILED) return hw__fail(err, HW_ERR_IO, "%s cannot be read: %s", g->path, strerror(errno));
    hw_err rc = hw__guarded_gguf(&g->gguf, bytes, file_bytes, err);
    munmap(bytes, file_bytes);
    if (rc == HW_OK && !g->gguf) rc = hw__fail(err, HW_ERR_FORMAT, "%s: damaged or truncated GGUF metadata", g->path);
    return rc;
}

static hw_err open_part(part *g, const char *path, hw_error *err) {
    uint64_t file_bytes;
    g->path = hw__strndup(path, strlen(path));
    hw_err rc = g->path ? hw__file_open(&g->file, &file_bytes, g->path, err)
                        : hw__fail_memory(err, "a model file", strlen(path), 1);
    if (rc == HW_OK) rc = check_magic(g, err);
    if (rc == HW_OK) rc = parse(g, (size_t)file_bytes, err);
    if (rc == HW_OK) rc = check_extent(g, (size_t)file_bytes, err);
    return rc == HW_OK ? check_vocabulary(g, err) : rc;
}

/* An unsigned 16-bit value of the metadata, as used for splits; `otherwise` if it is missing. */
static unsigned read_u16(const part *g, const char *key, unsigned otherwise) {
    int64_t id = gguf_find_key(g->gguf, key);
    return id >= 0 && gguf_get_kv_type(g->gguf, id) == GGUF_TYPE_UINT16 ? gguf_get_val_u16(g->gguf, id) : otherwise;
}

/* Opens the file, or the first of several; *n <- their number. */
static hw_err open_first(hw__gguf *g, const char *path, size_t *n, hw_error *err) {
    hw_err rc = open_part(&g->parts[0], path, err);
    if (rc != HW_OK) return rc;
    unsigned count = read_u16(&g->parts[0], "split.count", 1), no = read_u16(&g->parts[0], "split.no", 0);
    *n = count > 1 ? count : 1;
    if (no == 0) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "%s is part %u of a model in %u files: give the first, which ends with -00001-of-%05u.gguf", path,
                    no + 1, count, count);
}

/* Opens the other files of a split, whose names differ in their number. */
static hw_err open_rest(hw__gguf *g, size_t n, hw_error *err) {
    char prefix[4096], path[4096];
    const char *first = g->parts[0].path;
    if (strlen(first) >= sizeof prefix || llama_split_prefix(prefix, sizeof prefix, first, 0, (int32_t)n) <= 0)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "%s is the first of %zu files and is not called so: its name must end with -00001-of-%05zu.gguf", first, n,
            n);
    for (size_t i = 1; i < n; i++) {
        llama_split_path(path, sizeof path, prefix, (int32_t)i, (int32_t)n);
        g->n_parts = i + 1;
        hw_err rc = open_part(&g->parts[i], path, err);
        if (rc != HW_OK)
            return hw__fail_in(err, rc, "part %zu of %zu of %s (all are needed in one folder)", i + 1, n, first);
        if (read_u16(&g->parts[i], "split.no", 0) != i || read_u16(&g->parts[i], "split.count", 1) != n)
            return hw__fail(err, HW_ERR_FORMAT, "%s does not say that it is part %zu of %zu", path, i + 1, n);
    }
    return HW_OK;
}

static hw_err open_parts(hw__gguf *g, const char *path, hw_error *err) {
    size_t n = 1;
    g->parts = hw__alloc(1, sizeof *g->parts);
    if (!g->parts) return hw__fail_memory(err, "a model file", 1, sizeof *g->parts);
    g->n_parts = 1;
    hw_err rc = open_first(g, path, &n, err);
    if (rc == HW_OK && n > 1) {
        part *resized = hw__realloc(g->parts, n, sizeof *resized);
        if (!resized) return hw__fail_memory(err, "a model's files", n, sizeof *resized);
        memset(resized + 1, 0, (n - 1) * sizeof *resized);
        g->parts = resized;
        rc = open_rest(g, n, err);
    }
    if (rc == HW_OK) hw__background_start(&g->hashing, hash_parts, g);
    return rc;
}

hw_err hw__gguf_open(hw__gguf **out, const char *path, hw_error *err) {
    hw__gguf *g = hw__alloc(1, sizeof *g);
    hw_err rc = g ? open_parts(g, path, err) : hw__fail_memory(err, "a model file", 1, sizeof *g);
    if (rc != HW_OK) {
        hw__gguf_close(g);
        return rc;
    }
    *out = g;
    return HW_OK;
}

void hw__gguf_close(hw__gguf *g) {
    if (!g) return;
    hw__background_wait(&g->hashing);
    for (size_t i = 0; i < g->n_parts; i++) {
        gguf_free(g->parts[i].gguf);
        if (g->parts[i].file) fclose(g->parts[i].file);
        free(g->parts[i].path);
    }
    free(g->parts);
    free(g);
}

const struct gguf_context *hw__gguf_metadata(const hw__gguf *g) { return g->parts[0].gguf; }

const char *hw__gguf_text(const struct gguf_context *meta, const char *key) {
    int64_t id = gguf_find_key(meta, key);
    return id >= 0 && gguf_get_kv_type(meta, id) == GGUF_TYPE_STRING ? gguf_get_val_str(meta, id) : "";
}

const char *hw__gguf_metadata_sha256(const hw__gguf *g) { return g->metadata_sha256; }

const char *hw__gguf_sample_sha256(const hw__gguf *g) { return g->sample_sha256; }

size_t hw__gguf_count(const hw__gguf *g, uint64_t *n_params, uint64_t *n_bytes) {
    *n_params = *n_bytes = 0;
    for (size_t p = 0; p < g->n_parts; p++) {
        for (int64_t i = 0; i < gguf_get_n_tensors(g->parts[p].gguf); i++) {
            enum ggml_type type = gguf_get_tensor_type(g->parts[p].gguf, i);
            size_t bytes = gguf_get_tensor_size(g->parts[p].gguf, i);
            *n_bytes += bytes;
            *n_params += bytes / ggml_type_size(type) * (uint64_t)ggml_blck_size(type);
        }
    }
    return g->n_parts;
}

/* The part that contains a tensor, and the tensor's index there; NULL: none. */
static const part *find_tensor(const hw__gguf *g, const char *name, int64_t *id) {
    for (size_t i = 0; i < g->n_parts; i++)
        if ((*id = gguf_find_tensor(g->parts[i].gguf, name)) >= 0) return &g->parts[i];
    return NULL;
}

/* Width of the stream; 0 if the metadata do not give it. */
static size_t stream_width(const part *g) {
    char key[GGML_MAX_NAME + 32];
    int64_t arch = gguf_find_key(g->gguf, "general.architecture"), id;
    if (arch < 0 || gguf_get_kv_type(g->gguf, arch) != GGUF_TYPE_STRING) return 0;
    snprintf(key, sizeof key, "%.60s.embedding_length", gguf_get_val_str(g->gguf, arch));
    id = gguf_find_key(g->gguf, key);
    return id >= 0 && gguf_get_kv_type(g->gguf, id) == GGUF_TYPE_UINT32 ? gguf_get_val_u32(g->gguf, id) : 0;
}

bool hw__gguf_output(const hw__gguf *file, hw__gguf_matrix *out) {
    /* the second one if both are the same weight */
    static const char *const names[] = {"output.weight", "token_embd.weight"};
    size_t width = stream_width(&file->parts[0]), row_bytes;
    int64_t id = -1;
    for (size_t i = 0; width && i < sizeof names / sizeof *names; i++) {
        const part *g = find_tensor(file, names[i], &id);
        if (!g) continue;
        enum ggml_type type = gguf_get_tensor_type(g->gguf, id);
        row_bytes = width % (size_t)ggml_blck_size(type) == 0 ? ggml_row_size(type, (int64_t)width) : 0;
        if (!row_bytes || gguf_get_tensor_size(g->gguf, id) < row_bytes) return false;
        *out = (hw__gguf_matrix){names[i], gguf_get_tensor_size(g->gguf, id) / row_bytes, width};
        return true;
    }
    return false;
}

/* Where rows of a tensor are in its file. */
typedef struct location {
    const part *g;
    int64_t id;
    enum ggml_type type;
    size_t offset, row_bytes;
} location;

/* Of l->id in l->g, if the tensor has all of these rows. */
static hw_err locate_rows(location *l, hw__gguf_part rows, hw_error *err) {
    const struct gguf_context *gguf = l->g->gguf;
    l->type = gguf_get_tensor_type(gguf, l->id);
    const struct ggml_type_traits *traits = ggml_get_type_traits(l->type);
    if (l->type != GGML_TYPE_F32 && !traits->to_float)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "tensor %s: type %s cannot be read", rows.name, traits->type_name);
    size_t end;
    l->row_bytes = rows.width % (size_t)traits->blck_size == 0 ? ggml_row_size(l->type, (int64_t)rows.width) : 0;
    if (!l->row_bytes || !hw__add(&end, rows.first, rows.n) || !hw__mul(&end, end, l->row_bytes) ||
        end > gguf_get_tensor_size(gguf, l->id))
        return hw__fail(err, HW_ERR_FORMAT, "%s: tensor %s is smaller than %zu rows of %zu", l->g->path, rows.name,
                        rows.first + rows.n, rows.width);
    l->offset = gguf_get_data_offset(gguf) + gguf_get_tensor_offset(gguf, l->id) + rows.first * l->row_bytes;
    return HW_OK;
}

hw_err hw__gguf_rows(const hw__gguf *file, float *out, hw__gguf_part rows, hw_error *err) {
    enum { READ_BYTES = 64 << 10 };
    const char *name = rows.name;
    size_t n = rows.n, width = rows.width;
    location l = {.id = -1};
    const part *g = l.g = find_tensor(file, name, &l.id);
    if (!g) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: has no tensor %s", file->parts[0].path, name);
    hw_err rc = locate_rows(&l, rows, err);
    if (rc != HW_OK) return rc;
    size_t offset = l.offset, row_bytes = l.row_bytes;
    enum ggml_type type = l.type;
    if (type == GGML_TYPE_F32) return read_at(g, out, n * row_bytes, offset, name, err);
    size_t together = row_bytes < READ_BYTES ? READ_BYTES / row_bytes : 1;
    unsigned char *raw = hw__alloc(together, row_bytes);
    if (!raw) return hw__fail_memory(err, name, together, row_bytes);
    for (size_t i = 0; rc == HW_OK && i < n; i += together) {
        size_t take = n - i < together ? n - i : together;
        rc = read_at(g, raw, take * row_bytes, offset + i * row_bytes, name, err);
        if (rc == HW_OK) ggml_get_type_traits(type)->to_float(raw, out + i * width, (int64_t)(take * width));
    }
    free(raw);
    return rc;
}

hw_err hw__gguf_raw_rows(const hw__gguf *file, hw__gguf_raw *out, const hw__gguf_pick *pick, hw_error *err) {
    hw__gguf_raw raw = {.bytes = NULL};
    location l = {.id = -1};
    hw__gguf_part row = {pick->name, 0, 1, pick->width};
    l.g = find_tensor(file, pick->name, &l.id);
    if (!l.g) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: has no tensor %s", file->parts[0].path, pick->name);
    hw_err rc = locate_rows(&l, row, err);
    if (rc != HW_OK) return rc;
    raw.type = l.type;
    raw.row_bytes = l.row_bytes;
    raw.bytes = hw__alloc(pick->n, raw.row_bytes);
    if (!raw.bytes) return hw__fail_memory(err, pick->name, pick->n, raw.row_bytes);
    for (size_t i = 0; rc == HW_OK && i < pick->n; i++) {
        row.first = (size_t)pick->ids[i];
        rc = locate_rows(&l, row, err);
        if (rc == HW_OK) rc = read_at(l.g, raw.bytes + i * raw.row_bytes, raw.row_bytes, l.offset, pick->name, err);
    }
    if (rc == HW_OK) {
        *out = raw;
    } else {
        free(raw.bytes);
    }
    return rc;
}
