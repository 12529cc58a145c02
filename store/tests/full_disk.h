/* A store with small memtables and tables on a small simulated disk: for test_full_disk*.c, one
 * test at a time. Calls that must not fail print what they found and abort (MUST of history.h).
 * VERBOSE=1 prints what the store logs.
 *
 * Keys are numbers; each has a value of FULL_VALUE bytes that follows from it. */
#ifndef STORE_TESTS_FULL_DISK_H
#define STORE_TESTS_FULL_DISK_H

#include "../store.h"
#include "../version/file_name.h"
#include "env_sim.h"

#define KB 1024u
#define FULL_DIR "/db"
#define FULL_CAPACITY (1024 * KB)
#define FULL_VALUE 500

struct full_disk {
    struct env *disk;
    struct store *store;
    struct store_options options; /* for the next full_open */
};
extern struct full_disk full;

/* A new disk with an open store, and the end of both. */
void full_set_up(void);
void full_tear_down(void);
void full_open(void);

struct slice full_key(int i, char room[16]);
/* 0 or an error, as the store says. */
int full_put(int i, bool sync);
int full_drop(int i);
/* The same, tried again for some seconds while there is no space. (Where the flushes that make room
 * are slow, or others put while there is space, a delete may have to be.) */
int full_put_patiently(int i);
int full_drop_patiently(int i);
/* Puts keys until there is no space; returns how many there are. */
int full_fill(void);

/* The store has (has not) the keys from `from` up to the one before `to`. */
void full_must_have(struct store *s, int from, int to);
void full_must_lack(struct store *s, int from, int to);
/* A store that is opened from a copy of the disk as it is now, with room, has the keys from..to,
 * and no other below `next`. */
void full_check_copy(enum sim_survival how, int from, int to, int next);
bool full_has_file(const char *name);

/* A hook of the disk: fails so many calls of one kind on files of one kind, after `skip` others. */
struct full_target {
    enum sim_call call;
    enum name_kind kind;
    int skip, strikes, error;
};
int full_strike(void *target, enum sim_call call, const char *path);

#endif
