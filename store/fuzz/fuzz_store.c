/* A whole store whose files were damaged: it is refused, or what it shows was written once, each
 * key with a value that it had. The input's first byte chooses (bit 0: repair); then come changes
 * of four bytes and more: file, offset (two bytes, in 64ths of a KiB where the file's bit 7 is
 * set), how many bytes follow (0: the file ends here, 255: it is deleted). */
#include <stdio.h>
#include "../store.h"
#include "fuzz_file.h"

#define DIR "/db"
#define KEYS 200
#define VERSIONS 3
#define MAX_FILES 32

static struct env *undamaged;
static char *files[MAX_FILES];
static int file_count;

static struct slice key_of(int key, char room[16])
{
    return slice_of(room, (size_t)snprintf(room, 16, "key%05d", key));
}

static void write_all(struct store *s, int version)
{
    char key[16], value[64];
    for (int i = version; i < KEYS; i += 1 + version) {
        int n = snprintf(value, sizeof value, "%05d version %d of the value", i, version);
        if (store_put(s, key_of(i, key), slice_of(value, (size_t)n), false))
            abort();
    }
}

static void set_options(struct store_options *o, struct env *disk)
{
    store_options_init(o);
    o->env = disk;
    o->block_bytes = 512;
    o->zero_ahead_bytes = 4096;
    o->compaction_threads = 1;
}

static void note_file(void *arg, const char *name)
{
    (void)arg;
    if (file_count < MAX_FILES)
        files[file_count++] = mem_printf("%s/%s", DIR, name);
}

/* Tables in two levels, and a log: the disk of a store that was killed. */
static void make_undamaged(void)
{
    struct env *disk = env_sim_new();
    struct store_options o;
    struct store *s;
    set_options(&o, disk);
    if (store_open(DIR, &o, &s))
        abort();
    write_all(s, 0);
    if (store_flush(s) || store_compact(s, slice_of(NULL, 0), slice_of(NULL, 0)))
        abort();
    write_all(s, 1);
    if (store_flush(s))
        abort();
    write_all(s, 2);
    undamaged = env_sim_cut_copy(disk);
    env_sim_survive(undamaged, SIM_KEEP_ALL, 0);
    store_close(s);
    env_sim_free(disk);
    if (env_list(undamaged, DIR, note_file, NULL))
        abort();
}

/* Returns how much of the input it took; 0 at its end. */
static size_t damage(struct env *disk, const uint8_t *in, size_t size)
{
    struct env_file *f;
    if (size < 4)
        return 0;
    const char *path = files[(in[0] & 127) % file_count];
    uint64_t off = (uint64_t)(in[1] | in[2] << 8) * (in[0] & 128 ? 16 : 1);
    size_t len = in[3] == 255 ? 0 : in[3], there = size - 4;
    if (len > there)
        len = there;
    if (in[3] == 255) {
        env_unlink(disk, path);
    } else if (env_open(disk, path, ENV_WRITE, &f) == 0) {
        if (len)
            env_pwrite(disk, f, in + 4, len, off);
        else
            env_truncate(disk, f, off);
        env_close(disk, f);
    }
    return 4 + len;
}

static void check_entry(struct slice key, struct slice value)
{
    char room[16], text[64];
    int i = 0, version = -1;
    if (key.len != 8 || value.len >= sizeof text)
        abort();
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    if (sscanf(text, "%d version %d of the value", &i, &version) != 2)
        abort();
    if (i < 0 || i >= KEYS || !slice_equal(key, key_of(i, room)) || version < 0 ||
        version >= VERSIONS)
        abort();
}

static void read_all(struct store *s)
{
    char key[16];
    struct buf value = BUF_INIT;
    struct iter *it = store_iter(s, NULL);
    for (iter_first(it); it->valid; iter_next(it))
        check_entry(it->key, it->value);
    for (iter_last(it); it->valid; iter_prev(it))
        check_entry(it->key, it->value);
    iter_destroy(it);
    for (int i = 0; i < KEYS; i += 7)
        if (store_get(s, NULL, key_of(i, key), &value) == 0)
            check_entry(key_of(i, key), buf_slice(&value));
    buf_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_options o;
    struct store *s;
    if (!undamaged)
        make_undamaged();
    if (size == 0)
        return 0;
    struct env *disk = env_sim_cut_copy(undamaged);
    env_sim_survive(disk, SIM_KEEP_ALL, 0);
    for (size_t at = 1, n; at < size && (n = damage(disk, data + at, size - at)); at += n)
        ;
    set_options(&o, disk);
    o.repair = data[0] & 1;
    if (store_open(DIR, &o, &s) == 0) {
        read_all(s);
        store_compact(s, slice_of(NULL, 0), slice_of(NULL, 0));
        read_all(s);
        store_close(s);
    }
    env_sim_free(disk);
    return 0;
}
