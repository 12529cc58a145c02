/* make_seeds DIR: writes valid inputs for the fuzzers to DIR/log, DIR/table, DIR/edit and
 * DIR/batch. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../commit/batch.h"
#include "../log/log_writer.h"
#include "../table/table_builder.h"
#include "../version/edit.h"

static struct env_file *create(const char *dir, const char *kind, const char *name)
{
    struct env_file *f;
    char *folder = mem_printf("%s/%s", dir, kind), *path = mem_printf("%s/%s", folder, name);
    mkdir(dir, 0777);
    mkdir(folder, 0777);
    if (env_open(env_posix(), path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f)) {
        fprintf(stderr, "make_seeds: %s\n", fail_text());
        exit(1);
    }
    free(folder);
    free(path);
    return f;
}

static void write_all(struct env_file *f, struct slice bytes)
{
    if (env_pwrite(env_posix(), f, bytes.data, bytes.len, 0))
        exit(1);
    env_close(env_posix(), f);
}

static void seed_batch(const char *dir, struct store_batch *b)
{
    store_batch_put(b, slice_str("key"), slice_str("value"));
    store_batch_delete(b, slice_str("gone"));
    store_batch_put(b, slice_str(""), slice_str(""));
    batch_set_sequence(b, 7);
    write_all(create(dir, "batch", "three"), buf_slice(&b->rep));
}

static void seed_log(const char *dir, const struct store_batch *b)
{
    struct env_file *f = create(dir, "log", "records");
    struct log_writer w;
    char *large = mem_zalloc(40000);
    log_writer_init(&w, env_posix(), f);
    if (log_append(&w, buf_slice(&b->rep)) || log_append(&w, slice_of(large, 40000)) ||
        log_append(&w, slice_of(NULL, 0)))
        exit(1);
    log_writer_free(&w);
    env_close(env_posix(), f);
    free(large);
}

static void seed_table(const char *dir, const char *name, enum table_compression compression,
                       int bloom_bits)
{
    struct env_file *f = create(dir, "table", name);
    struct table_build_options o = {256, 4, bloom_bits, compression};
    struct table_builder *t = table_builder_new(env_posix(), f, name, &o);
    struct buf key = BUF_INIT;
    for (int i = 0; i < 100; i++) {
        char user[16];
        snprintf(user, sizeof user, "key%04d", i);
        buf_clear(&key);
        buf_put_ikey(&key, slice_str(user), (uint64_t)i + 1, i % 5 ? KEY_PUT : KEY_DELETE);
        if (table_builder_add(t, buf_slice(&key),
                              slice_str(i % 5 ? "some value that repeats" : "")))
            exit(1);
    }
    if (table_builder_finish(t))
        exit(1);
    table_builder_free(t);
    buf_free(&key);
    env_close(env_posix(), f);
}

static void seed_edit(const char *dir)
{
    struct edit e;
    struct buf out = BUF_INIT;
    edit_init(&e);
    e.has_comparator = e.has_log_number = e.has_next_file = e.has_last_sequence = true;
    buf_set(&e.comparator, slice_str(EDIT_COMPARATOR_NAME));
    e.log_number = 4;
    e.next_file = 9;
    e.last_sequence = 1234;
    struct buf smallest = BUF_INIT, largest = BUF_INIT;
    buf_put_ikey(&smallest, slice_str("aaa"), 1, KEY_PUT);
    buf_put_ikey(&largest, slice_str("zzz"), 2, KEY_PUT);
    edit_add_file(&e, 1, 5, 2000, buf_slice(&smallest), buf_slice(&largest));
    buf_free(&smallest);
    buf_free(&largest);
    edit_delete_file(&e, 0, 3);
    edit_encode(&e, &out);
    write_all(create(dir, "edit", "fields"), buf_slice(&out));
    buf_free(&out);
    edit_free(&e);
}

int main(int argc, char **argv)
{
    struct store_batch b = STORE_BATCH_INIT;
    if (argc != 2)
        return 2;
    seed_batch(argv[1], &b);
    seed_log(argv[1], &b);
    seed_table(argv[1], "plain", TABLE_NONE, 0);
    seed_table(argv[1], "snappy", TABLE_SNAPPY, 10);
    seed_edit(argv[1]);
    store_batch_free(&b);
    return 0;
}
