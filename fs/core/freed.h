/* What freed.c and sweep.c share: records of places (chunk_format.h), and files without any. */
#ifndef FS_CORE_FREED_H
#define FS_CORE_FREED_H

#include "fs_internal.h"

/* The iterator stands on a record of this kind, with a key as long. */
bool freed_record_at(struct iter *it, enum key_kind kind, size_t len);
int freed_delete_keys(struct fs *fs, const struct fs_key *keys, size_t count);
/* A file of which nothing is needed goes, and its mark; any other stays. */
int freed_remove_if_empty(struct fs *fs, uint64_t segment);
/* After a crash: gives back what files numbered up to `upto` have beside what is in use in the
 * snapshot, which was taken before anything was changed. What cannot be is told, and stays. */
void sweep(struct fs *fs, const struct store_snapshot *at_open, uint64_t upto);

#endif
