#!/bin/bash
# Do the tests of the commit path, of a full disk, of the next log, of where tables go and of bytes beside the store see it when a rule of theirs is removed? A copy of
# the sources, one rule removed at a time: the test has to fail.
. "$(dirname "$0")/mutants.sh"

as_they_are store/tests/test_queue
removed "a sync writer never rides in a non-sync group" store/commit/queue.c \
    's/if (w->sync && !leader->sync)/if (!w)/'
removed "a small leader's group stays small" store/commit/queue.c 's/bytes + QUEUE_SMALL_WRITE :/QUEUE_MAX_GROUP :/'
removed "a group has a largest size" store/commit/queue.c 's/ || bytes + bytes_of(w) > limit)/ || limit == 0)/'
removed "a failed append ends all writing" store/commit/queue.c 's/store_set_error(s, rc, "log append");//'
removed "a sync covers older logs" store/commit/sync.c \
    's/if (l->synced >= l->appended && .*)$/if (l != s->log)/'
removed "a round ends with fdatasync" store/commit/sync.c 's/rc = env_sync(s->env, logs\[i\].log->file);/rc = 0;/'
removed "a failed sync is told" store/commit/sync.c 's/store_set_error(s, rc, "log sync");/rc = 0;/'
removed "each record has its own number" store/commit/batch.c \
    's/memtable_add(i->mem, i->sequence++, KEY_PUT/memtable_add(i->mem, i->sequence, KEY_PUT/'

as_they_are store/tests/test_full_disk
removed "a record without space is cut off the log" store/commit/queue.c 's/int rc = log_undo(&s->log->writer);/int rc = 0;/'
removed "a record that cannot be cut off ends all writing" store/commit/queue.c 's/        if (undone)$/        if (!s)/'
removed "a failed sync is no want of space" store/commit/sync.c 's/store_set_error(s, rc, "log sync");/rc = 0;/'
removed "the reserve is given up for deletes" store/db/space.c 's/given = essential && give_up_reserve(s);/given = false;/'
removed "space is looked for" store/db/space.c 's/if (space_is_low(p) && has_available/if (!p \&\& has_available/'
removed "few deletes are carried down" store/compact/reclaim.c 's/if (r->running || !(r->begun || r->wanted))/if (s)/'
removed "what is marked reclaim may put" store/commit/queue.c 's/w->batch->puts && !w->reclaim/w->batch->puts/'

removed "a memtable is small on a small disk" store/db/space.c 's/#define DISK_MEMTABLES 32/#define DISK_MEMTABLES 1/'

as_they_are store/tests/test_taken_back
removed "a record that was taken back is gone from the log's disk" store/commit/queue.c \
    's/return s->log->taken_back_synced < s->log->taken_back ? sync_now(s) : 0;/return 0;/'
removed "and from the MANIFEST's" store/version/manifest.c 's/ && env_sync(s->env, s->manifest) == 0;/;/'

as_they_are store/tests/test_full_disk_background
removed "a flush is tried again" store/compact/background.c 's/return again ? NEXT_TRY : LATER_TRY;/return ENDED;/'
removed "a MANIFEST record without space is no broken MANIFEST" store/version/manifest.c \
    's/space_lacks(rc) && log_undo(&s->manifest_log) == 0/!s/'
removed "a flush that began earlier does not count as the one that was asked for" store/commit/room.c \
    's/s->flushes_ended <= begun/s->flushes_ended < begun/'

as_they_are store/tests/test_spare_log
removed "the next log is made ahead" store/compact/background.c 's/live_log_prepare(s);//'
removed "its entry needs no sync of its own" store/compact/flush.c 's/spare->entry_synced = true;/spare->mark = 0;/'

as_they_are store/tests/test_zeroes_ahead
removed "a short log has few zeroes ahead" store/commit/window.c 's/few = few < FIRST_ZEROES ? FIRST_ZEROES : few;/few = most;/'
removed "a log gets no more of them than it takes" store/commit/window.c 's/few = rest < few ? rest : few;//'

as_they_are store/tests/test_lock_io
removed "nobody is woken under the lock" store/compact/background.c '/^static void wake_another/,/^}/s/pthread_mutex_.*//'
removed "no file is closed under the lock" store/db/live_log.c '/^void live_log_unref/,/^}/s/pthread_mutex_.*//'

as_they_are store/tests/test_place
removed "a flushed table stays above older ones of its keys" store/compact/place.c 's/return bytes_met(s, level, smallest, largest) == 0 &&/return/'
removed "it goes below none of level 0" store/compact/place.c 's/if (bytes_met(s, 0, smallest, largest) > 0)/if (!s)/'
removed "it keeps out of a compaction's way" store/compact/place.c 's/           !is_written_to(s, level, smallest, largest);/           level > 0;/'

as_they_are store/tests/test_beside
removed "a sync round syncs what is beside" store/commit/sync.c 's/int rc = beside_sync(s);/int rc = 0;/'
removed "a flush syncs what is beside" store/compact/flush.c 's/int rc = beside_sync(s);/int rc = 0;/'
removed "recovery syncs what is beside" store/db/recover.c 's/int rc = beside_sync_in_open(s);/int rc = 0;/'
removed "its failure ends all writing, also for want of space" store/db/beside.c \
    's/store_set_error(s, rc, "sync of what is beside the store");//'
removed "a failed sync of what is beside is not tried again" store/db/beside.c 's/^    if (b->error)$/    if (!b)/'
removed "one sync of what is beside at a time" store/db/beside.c 's/pthread_mutex_\(un\)*lock(&s->beside.mu);//'
removed "no sync of what is beside where nothing may be written" store/db/beside.c 's/ || s->options.read_only)/)/'
removed "recovery checks what is beside" store/db/recover.c 's/: beside_check(r->s, record);/: 0;/'
removed "what marks cover is not checked" store/db/recover.c 's/int rc = last <= r->durable ? 0 :/int rc = last == 0 ? 0 :/'
removed "marks are found before anything is checked" store/db/recover.c 's/int rc = find_durable(r, logs), stopped_in/int rc = 0, stopped_in/'
removed "only a refusal cuts" store/db/recover.c 's/if (rc != STORE_ECORRUPT)/if (rc == 0)/'
removed "a flush moves the flushed sequence" store/compact/flush.c 's/atomic_store_explicit(&s->flushed_sequence.*;//'
removed "so does an open" store/db/recover.c 's/atomic_store(&s->flushed_sequence.*;//'

as_they_are store/tests/test_crash_beside
removed "a sync round syncs what is beside" store/commit/sync.c 's/int rc = beside_sync(s);/int rc = 0;/'
removed "a flush syncs what is beside" store/compact/flush.c 's/int rc = beside_sync(s);/int rc = 0;/'
removed "recovery syncs what is beside" store/db/recover.c 's/int rc = beside_sync_in_open(s);/int rc = 0;/'
removed "recovery checks what is beside" store/db/recover.c 's/: beside_check(r->s, record);/: 0;/'
exit $survivors
