/* Names of a store's files: CURRENT, LOCK, LOG, MANIFEST-000001, 000002.log, 000003.ldb (old:
 * .sst), 000004.dbtmp. */
#ifndef STORE_VERSION_FILE_NAME_H
#define STORE_VERSION_FILE_NAME_H

#include <stdint.h>

/* Each returns a path on the heap; free() it. */
char *name_current(const char *dir);
char *name_lock(const char *dir);
char *name_reserve(const char *dir);
char *name_info_log(const char *dir);
char *name_manifest(const char *dir, uint64_t number);
char *name_log(const char *dir, uint64_t number);
char *name_table(const char *dir, uint64_t number);
enum name_kind {
    NAME_OTHER,
    NAME_CURRENT,
    NAME_LOCK,
    NAME_INFO_LOG,
    NAME_RESERVE, /* db/space.h */
    NAME_MANIFEST,
    NAME_LOG,
    NAME_TABLE,
    NAME_TEMP
};
/* The kind of a file by its bare name, and its number where it has one. */
enum name_kind name_parse(const char *name, uint64_t *number);

#endif
