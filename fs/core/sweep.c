/* What a crash left of segment files: places that no committed batch names, files that the store
 * does not know, marks of files that are not there (freed.h). */
#include "freed.h"

#include "../format/segment_format.h"

/* Gives back what lies between the places that were in use when the store was opened. */
static int sweep_segment(struct fs *fs, const struct store_snapshot *at_open, uint64_t segment)
{
    struct fs_key first = key_place(segment, 1);
    uint64_t end = SEGMENT_HEADER, size;
    int rc = segments_size(fs->segments, segment, &size);
    if (rc)
        return rc;
    struct iter *it = store_iter(fs->store, at_open);
    for (iter_seek(it, key_slice(&first));
         rc == 0 && freed_record_at(it, KEY_PLACE, 17) && key_segment(it->key) == segment;
         iter_next(it)) {
        uint64_t place = key_place_of(it->key);
        if (place > end)
            rc = segments_punch(fs->segments, (struct segment_place){segment, end}, place - end);
        end = place + FS_CHUNK;
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    if (rc == 0 && size > end)
        rc = segments_punch(fs->segments, (struct segment_place){segment, end}, size - end);
    return rc ? rc : segments_sync_one(fs->segments, segment);
}

static bool has_mark(struct fs *fs, const struct store_snapshot *at_open, uint64_t segment)
{
    struct fs_key key = key_place(segment, 0);
    struct buf value = BUF_INIT;
    bool yes = store_get(fs->store, at_open, key_slice(&key), &value) == 0;
    buf_free(&value);
    return yes;
}

struct numbers {
    uint64_t upto; /* higher ones are left out */
    uint64_t *at;
    size_t count, room;
};

static void add_number(void *arg, uint64_t segment)
{
    struct numbers *n = arg;
    if (segment > n->upto)
        return;
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 64;
        n->at = mem_realloc(n->at, n->room * sizeof *n->at);
    }
    n->at[n->count++] = segment;
}

/* The files that were there when the store was opened. */
static void sweep_files(struct fs *fs, const struct store_snapshot *at_open,
                        const struct numbers *files)
{
    for (size_t i = 0; i < files->count; i++) {
        struct fs_key mark = key_place(files->at[i], 0);
        int rc = freed_remove_if_empty(fs, files->at[i]); /* whatever is in it */
        if (rc == 0 && segments_exists(fs->segments, files->at[i]) &&
            has_mark(fs, at_open, files->at[i])) {
            rc = sweep_segment(fs, at_open, files->at[i]);
            if (rc == 0)
                rc = freed_delete_keys(fs, &mark, 1);
        }
        if (rc)
            fs_log(fs, "unused space in segment %llu stays taken for now: %s",
                   (unsigned long long)files->at[i], fail_text());
    }
}

/* Marks of files that a crash left no file of. */
static void sweep_marks(struct fs *fs, const struct store_snapshot *at_open)
{
    struct fs_key first = key_of(KEY_PLACE, 0);
    struct iter *it = store_iter(fs->store, at_open);
    int rc = 0;
    iter_seek(it, key_slice(&first));
    while (rc == 0 && freed_record_at(it, KEY_PLACE, 17)) {
        uint64_t segment = key_segment(it->key);
        struct fs_key mark = key_place(segment, 0), next = key_place(segment + 1, 0);
        if (key_place_of(it->key) == 0 && !segments_exists(fs->segments, segment))
            rc = freed_delete_keys(fs, &mark, 1);
        iter_seek(it, key_slice(&next));
    }
    iter_destroy(it);
}

void sweep(struct fs *fs, const struct store_snapshot *at_open, uint64_t upto)
{
    struct numbers files = {.upto = upto};
    if (segments_list(fs->segments, add_number, &files) == 0)
        sweep_files(fs, at_open, &files);
    sweep_marks(fs, at_open);
    free(files.at);
}
