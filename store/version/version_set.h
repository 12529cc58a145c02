/* The versions of one store and the MANIFEST that makes the current one last.
 *
 * Locks: `mu` is the store's one lock (db/db.h); fields and functions below say which need it.
 * Invariants:
 * 1. `current` lists exactly what the MANIFEST says, once set_apply has returned 0.
 * 2. A table file is deleted only when no live version lists it (its number then goes to
 * `obsolete`): nothing ever looks through the folder for files to delete but set_open, before
 * anyone reads.
 * 3. Every file that a MANIFEST record names has its bytes and its directory entry on disk before
 * the record. */
#ifndef STORE_VERSION_VERSION_SET_H
#define STORE_VERSION_VERSION_SET_H

#include <pthread.h>
#include "../log/log_writer.h"
#include "edit.h"

struct version_set {
    struct env *env;
    const char *dir; /* not owned */
    struct table_cache *tables;
    pthread_mutex_t *mu;
    struct version *current;    /* guarded by mu; the set holds one reference */
    atomic_int live;            /* versions that somebody refers to */
    uint64_t next_file;         /* guarded by mu: the next number to give away */
    uint64_t log_number;        /* logs below it are in tables; guarded by mu */
    uint64_t manifest_sequence; /* last_sequence as the MANIFEST has it; guarded by mu */
    struct buf compact_pointer[VERSION_LEVELS]; /* guarded by mu: where the next compaction of a
                                                   level starts */
    uint64_t *obsolete;                         /* numbers of tables to delete; guarded by mu */
    int obsolete_count;
    void (*on_obsolete)(void *arg); /* there is something to delete; called without mu; or NULL */
    void *on_obsolete_arg;
    bool applying; /* one thread is in set_apply or set_roll: `current` and compact_pointer are its
                      to change, and to read without mu; guarded by mu */
    pthread_cond_t applied;
    struct env_file *manifest;
    struct log_writer manifest_log;
    uint64_t manifest_base; /* how long the MANIFEST was when it held just one version */
    uint64_t manifest_number;
    bool manifest_read;  /* set_open could read all of it, whatever became of the tables */
    uint64_t roll_bytes; /* a MANIFEST this much longer than manifest_base is written anew; set
                            before any thread runs */
    int broken; /* after a failed MANIFEST write nothing more is written to it: the error; guarded
                   by mu */
};

void set_init(struct version_set *s, struct env *env, const char *dir, struct table_cache *tables,
              pthread_mutex_t *mu);
void set_free(struct version_set *s);
/* Writes CURRENT and a first MANIFEST into an empty folder. */
int set_create(struct env *env, const char *dir);
/* The same with the tables, numbers and sequence of an edit, as MANIFEST `number` (repair). */
int set_create_as(struct env *env, const char *dir, uint64_t number, struct edit *e);
/* Reads CURRENT and the MANIFEST, checks that every table named is there with its size. No thread
 * runs yet. */
int set_open(struct version_set *s);
/* Starts a new MANIFEST that holds all of `current`, makes CURRENT name it (temporary, sync,
 * rename, sync of the folder), then deletes the old one. After set_open, and when the MANIFEST has
 * grown too long. mu held. */
int set_roll(struct version_set *s);
/* Applies the edit to `current`: writes it to the MANIFEST, syncs that, installs the new version.
 * Fills in next_file (and log_number where the edit has none). mu held at entry and exit, let go of
 * while the version is put together and the record written; calls queue. On error the edit is not
 * in force (but may be on disk), and no later one is taken until the store is opened again; 0 also
 * where a roll behind it failed: then only later ones are refused. Each `last_sequence` is the
 * caller's to set. */
int set_apply(struct version_set *s, struct edit *e);
/* Makes a version (with one reference, which the set takes over) the current one. Returns the one
 * before, if any, with the set's reference, for version_unref. mu held. */
struct version *set_install(struct version_set *s, struct version *v);
/* A version nobody refers to any more (version_unref). mu NOT held: it is taken where a table
 * becomes obsolete. */
void set_drop_version(struct version_set *s, struct version *v);
uint64_t set_new_number(struct version_set *s);          /* mu held */
void set_number_used(struct version_set *s, uint64_t n); /* mu held; or no thread runs yet */
/* Deletes what is obsolete by now. mu held at entry and exit, let go of meanwhile. */
void set_delete_obsolete(struct version_set *s);
/* At open, before any thread runs: deletes tables no version lists, logs below log_number, old
 * MANIFESTs, temporaries. Files of other names are left alone. */
void set_clean_folder(struct version_set *s);

#endif
