/* model_stores.c - lists the models of each source: Hugging Face's cache, Ollama's manifests, LM Studio's folder. */
#include "models/model_stores.h"

#include "base/atomic_file.h"
#include "base/json.h"
#include "base/strlist.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ folders */

/* A walk through a folder and what is below it, names in order. */
typedef struct walk {
    model_list *list;
    const char *folder, *repo;
    bool follow; /* links to folders */
    void (*visit)(const struct walk *w, const char *path, const char *below);
} walk;

static bool join(char *out, const char *folder, const char *name) {
    return snprintf(out, MODEL_PATH_CAPACITY, "%s/%s", folder, name) < MODEL_PATH_CAPACITY;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void free_names(struct dirent **names, int n) {
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

/* Visits files and links below `folder`, at most `depth` folders deep. */
static void walk_files(const walk *w, const char *folder, int depth) {
    struct dirent **names;
    char path[MODEL_PATH_CAPACITY];
    struct stat st;
    int n = scandir(folder, &names, is_visible, by_name);
    if (n < 0) return; /* a folder that cannot be read holds nothing that could be opened */
    for (int i = 0; i < n; i++) {
        if (!join(path, folder, names[i]->d_name)) continue;
        bool is_folder = (w->follow ? stat(path, &st) : lstat(path, &st)) == 0 && S_ISDIR(st.st_mode);
        if (!is_folder)
            w->visit(w, path, path + strlen(w->folder) + 1);
        else if (depth > 0)
            walk_files(w, path, depth - 1);
    }
    free_names(names, n);
}

/* ------------------------------------------------------------------ files of repositories */

/* A model and not what else such repositories hold; the names that llama.cpp's common/download.cpp leaves out. */
static bool is_model_file(const char *below) {
    static const char *const others[] = {"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"};
    const char *slash = strrchr(below, '/'), *name = slash ? slash + 1 : below;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(name, others[i])) return false;
    return hw__has_extension(name, ".gguf");
}

bool model_file_part(int *part, int *n_parts, const char *path) {
    size_t n = strlen(path);
    int used = 0;
    return n > MODEL_PART_LENGTH &&
           sscanf(path + n - MODEL_PART_LENGTH, "-%5d-of-%5d.gguf%n", part, n_parts, &used) == 2 &&
           used == MODEL_PART_LENGTH;
}

/* What follows the last dash or dot of the name without its ending and the number of its part: "Q4_K_M". */
static void read_quantisation(char *out, size_t capacity, const char *below) {
    int part, n_parts;
    size_t n = strlen(below) - (model_file_part(&part, &n_parts, below) ? MODEL_PART_LENGTH : 5), begin = n;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    while (begin && strchr(letters, below[begin - 1])) begin--;
    bool found = begin && begin < n && (below[begin - 1] == '-' || below[begin - 1] == '.');
    snprintf(out, capacity, "%.*s", found ? (int)(n - begin) : 0, below + begin);
}

/* Whether the part with this number, in place of the one that the path has, is there. */
static bool part_exists(const char *path, int part, int n_parts) {
    char other[MODEL_PATH_CAPACITY];
    int n = snprintf(other, sizeof other, "%.*s-%05d-of-%05d.gguf", (int)strlen(path) - 20, path, part, n_parts);
    return n < (int)sizeof other && access(other, F_OK) == 0;
}

static const model_entry *find_entry(const model_list *list, const char *repo, const char *tag) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].repo, repo) == 0 && strcasecmp(list->at[i].tag, tag) == 0) return &list->at[i];
    return NULL;
}

static void describe_file(model_entry *e, int part, int n_parts) {
    char target[600] = "";
    if (part != 1) {
        snprintf(e->problem, sizeof e->problem,
                 "half a model: %.*s-00001-of-%05d.gguf is not there, the first of its files",
                 (int)strlen(e->file) - 20, e->file, n_parts);
    } else if (access(e->path, F_OK) != 0) {
        ssize_t n = readlink(e->path, target, sizeof target - 1);
        snprintf(e->problem, sizeof e->problem,
                 "the entry points nowhere (to %.*s): download the model again, or remove the entry",
                 n > 0 ? (int)n : 0, target);
    }
}

model_entry *model_list_add_file(model_list *list, const char *repo, const char *below) {
    char tag[256];
    if (!is_model_file(below) || strlen(below) >= sizeof((model_entry *)0)->file) return NULL;
    read_quantisation(tag, sizeof tag, below);
    bool distinguishes = *tag && !find_entry(list, repo, tag);
    model_entry *e = model_list_add(list);
    if (!e) return NULL;
    snprintf(e->repo, sizeof e->repo, "%s", repo);
    snprintf(e->tag, sizeof e->tag, "%s", distinguishes ? tag : below);
    snprintf(e->file, sizeof e->file, "%s", below);
    return e;
}

/* Adds a file of a repository: of a split the first that is there. */
static void add_file(const walk *w, const char *path, const char *below) {
    int part = 1, n_parts = 1;
    if (model_file_part(&part, &n_parts, below))
        for (int i = 1; i < part; i++)
            if (part_exists(path, i, n_parts)) return;
    model_entry *e = model_list_add_file(w->list, w->repo, below);
    if (!e) return;
    snprintf(e->path, sizeof e->path, "%s", path);
    describe_file(e, part, n_parts);
}

/* ------------------------------------------------------------------ Hugging Face */

/* "models--owner--name" as "owner/name"; false if it is not such a folder. */
static bool read_repo(char *out, size_t capacity, const char *folder) {
    static const char prefix[] = "models--";
    size_t n = 0, n_slashes = 0;
    if (strncmp(folder, prefix, sizeof prefix - 1) != 0) return false;
    for (const char *at = folder + sizeof prefix - 1; *at && n + 1 < capacity; at++) {
        bool slash = at[0] == '-' && at[1] == '-';
        out[n++] = slash ? '/' : *at;
        n_slashes += slash;
        at += slash;
    }
    out[n] = 0;
    return n && n_slashes == 1 && out[0] != '/' && out[n - 1] != '/';
}

/* The commit in a file of refs/, 40 hexadecimal digits. */
static bool read_commit(char commit[41], const char *path) {
    struct stat st;
    FILE *file = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    size_t n = file ? fread(commit, 1, 40, file) : 0;
    if (file) fclose(file);
    commit[n] = 0;
    return n == 40 && strspn(commit, "0123456789abcdefABCDEF") == 40;
}

/* The commit of the branch main, else of the first other one. */
static bool find_commit(char commit[41], const char *repo) {
    char refs[MODEL_PATH_CAPACITY], path[MODEL_PATH_CAPACITY];
    struct dirent **names;
    bool found = false;
    if (!join(refs, repo, "refs")) return false;
    if (join(path, refs, "main") && read_commit(commit, path)) return true;
    int n = scandir(refs, &names, is_visible, by_name);
    for (int i = 0; i < n && !found; i++) found = join(path, refs, names[i]->d_name) && read_commit(commit, path);
    if (n >= 0) free_names(names, n);
    return found;
}

void model_list_hub(model_list *out, const char *folder) {
    char path[MODEL_PATH_CAPACITY], snapshot[MODEL_PATH_CAPACITY], repo[256], commit[41];
    struct dirent **names;
    int n = scandir(folder, &names, is_visible, by_name);
    for (int i = 0; i < n; i++) {
        if (!read_repo(repo, sizeof repo, names[i]->d_name) || !join(path, folder, names[i]->d_name)) continue;
        if (!find_commit(commit, path)) continue;
        if (snprintf(snapshot, sizeof snapshot, "%s/snapshots/%s", path, commit) >= (int)sizeof snapshot) continue;
        const walk w = {.list = out, .folder = snapshot, .repo = repo, .visit = add_file};
        walk_files(&w, snapshot, 6);
    }
    if (n >= 0) free_names(names, n);
}

/* ------------------------------------------------------------------ LM Studio */

static void add_published(const walk *w, const char *path, const char *below) {
    const char *slash = strchr(below, '/'), *file = slash ? strchr(slash + 1, '/') : NULL;
    char repo[256];
    if (!file || file - below >= (long)sizeof repo) return; /* not in PUBLISHER/MODEL/ */
    snprintf(repo, sizeof repo, "%.*s", (int)(file - below), below);
    walk inner = *w;
    inner.repo = repo;
    add_file(&inner, path, file + 1);
}

void model_list_lmstudio(model_list *out, const char *folder) {
    const walk w = {.list = out, .folder = folder, .follow = true, .visit = add_published};
    walk_files(&w, folder, 2);
}

/* ------------------------------------------------------------------ Ollama */

/* Layers of a manifest, by type. */
static const char model_layer[] = "application/vnd.ollama.image.model",
                  adapter_layer[] = "application/vnd.ollama.image.adapter";
enum { MAX_MANIFEST_BYTES = 1 << 20 };

/* "sha256:" and 64 hexadecimal digits, or "sha256-": anything else could lead out of the folder of blobs. */
static bool read_digest(char hex[65], const json_t *layer) {
    const json_t *value = json_object_get(layer, "digest");
    const char *digest = json_string_value(value);
    if (!digest || json_string_length(value) != strlen("sha256:") + 64) return false;
    if (strncmp(digest, "sha256", 6) != 0 || (digest[6] != ':' && digest[6] != '-')) return false;
    if (strlen(digest + 7) != 64 || strspn(digest + 7, "0123456789abcdef") != 64) return false;
    memcpy(hex, digest + 7, 65);
    return true;
}

static void refuse(model_entry *e, const char *fmt, ...) HW_PRINTF(2, 3);
static void refuse(model_entry *e, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->problem, sizeof e->problem, fmt, args);
    va_end(args);
    e->path[0] = 0;
}

/* The blob must be there in full, and a GGUF file. */
static void check_blob(model_entry *e, const char *hex, const json_t *layer) {
    struct stat st;
    char magic[4];
    const json_t *size = json_object_get(layer, "size");
    if (stat(e->path, &st) != 0 || !S_ISREG(st.st_mode)) {
        refuse(e, "its blob sha256-%.12s... is not there: `ollama pull` fetches it again", hex);
        return;
    }
    if (json_is_integer(size) && json_integer_value(size) != (json_int_t)st.st_size) {
        refuse(e, "its blob sha256-%.12s... has %lld bytes of %lld: `ollama pull` completes it", hex,
               (long long)st.st_size, (long long)json_integer_value(size));
        return;
    }
    FILE *file = fopen(e->path, "rb");
    bool read = file && fread(magic, 1, sizeof magic, file) == sizeof magic;
    if (file) fclose(file);
    if (!read)
        refuse(e, "its blob sha256-%.12s... cannot be read", hex);
    else if (memcmp(magic, "GGUF", 4) != 0)
        refuse(e, "its model layer is not a GGUF file (begins with bytes %02x %02x %02x %02x): only Ollama can run it",
               (unsigned char)magic[0], (unsigned char)magic[1], (unsigned char)magic[2], (unsigned char)magic[3]);
}

static const char *type_at(size_t i, const void *ctx) {
    return json_string_value(json_object_get(json_array_get(ctx, i), "mediaType"));
}

/* Counts the layers of a type; *found <- the first. */
static size_t find_layers(const json_t **found, const json_t *layers, const char *type) {
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *is = type_at(i, layers);
        if (is && strcmp(is, type) == 0 && n++ == 0) *found = json_array_get(layers, i);
    }
    return n;
}

static void read_layers(model_entry *e, const char *folder, const json_t *layers) {
    const json_t *layer = NULL, *adapter = NULL;
    char hex[65], types[400];
    size_t n = find_layers(&layer, layers, model_layer);
    if (n != 1) {
        hw__join_names(types, sizeof types, (hw__names){type_at, layers, json_array_size(layers)});
        refuse(e, "its manifest has %zu GGUF layers (%s) where one is read; its layers: %s", n, model_layer, types);
        return;
    }
    if (!read_digest(hex, layer)) {
        const char *digest = json_string_value(json_object_get(layer, "digest"));
        refuse(e, "its manifest names the blob \"%.80s\": must be sha256: and 64 hexadecimal digits",
               digest ? digest : "");
        return;
    }
    if (snprintf(e->path, sizeof e->path, "%s/blobs/sha256-%s", folder, hex) >= (int)sizeof e->path) {
        refuse(e, "the path of its blob is too long");
        return;
    }
    check_blob(e, hex, layer);
    if (!*e->problem && find_layers(&adapter, layers, adapter_layer)) {
        char base[65];
        memcpy(base, hex, sizeof base);
        bool plain = read_digest(hex, adapter);
        refuse(e,
               "it is a model with an adapter: give -m BLOBS/sha256-%s --lora BLOBS/sha256-%s, where BLOBS is "
               "%.300s/blobs",
               base, plain ? hex : "...", folder);
    }
}

static void read_manifest(model_entry *e, const char *folder, const char *path) {
    struct stat st;
    json_t *json = NULL;
    const json_t *layers;
    hw_error err;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        refuse(e, "its manifest is not a file");
    } else if (st.st_size > MAX_MANIFEST_BYTES) {
        refuse(e, "its manifest has %lld bytes: at most %d are read", (long long)st.st_size, MAX_MANIFEST_BYTES);
    } else if (hw__json_load(&json, path, &err) != HW_OK || hw__json_array(&layers, json, "layers", &err) != HW_OK) {
        refuse(e, "its manifest cannot be read: %.500s", err.msg);
    } else {
        read_layers(e, folder, layers);
    }
    json_decref(json);
}

/* `below`: HOST/NAMESPACE/NAME/TAG. Models of the namespace `library` are named without it. */
static void add_manifest(const walk *w, const char *path, const char *below) {
    static const char library[] = "library/";
    const char *name = strchr(below, '/'), *tag = strrchr(below, '/');
    if (!name || tag == name) return;
    name++;
    if (!memchr(name, '/', (size_t)(tag - name))) return; /* no namespace */
    char repo[256];
    bool plain = strncmp(name, library, sizeof library - 1) == 0;
    if (plain) name += sizeof library - 1;
    snprintf(repo, sizeof repo, "%.*s", (int)(tag - name), name);
    const model_entry *before = find_entry(w->list, repo, tag + 1);
    if (before && strcmp(before->file, w->repo) != 0) return;                   /* the same model in a newer tree */
    if (before) snprintf(repo, sizeof repo, "%.*s", (int)(tag - below), below); /* the same name at another host */
    model_entry *e = model_list_add(w->list);
    if (!e) return;
    snprintf(e->repo, sizeof e->repo, "%s", repo);
    snprintf(e->tag, sizeof e->tag, "%s", tag + 1);
    snprintf(e->file, sizeof e->file, "%s", w->repo);
    char folder[MODEL_PATH_CAPACITY];
    snprintf(folder, sizeof folder, "%.*s", (int)(strlen(w->folder) - strlen(w->repo) - 1), w->folder);
    read_manifest(e, folder, path);
}

/* The older tree of manifests and the newer one, which is read first. */
void model_list_ollama(model_list *out, const char *folder) {
    static const char *const trees[] = {"manifests-v2", "manifest-v2", "manifests"};
    char path[MODEL_PATH_CAPACITY];
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        if (!join(path, folder, trees[i])) continue;
        const walk w = {.list = out, .folder = path, .repo = trees[i], .visit = add_manifest};
        walk_files(&w, path, 3);
    }
}
