#!/bin/bash
# Do the tests of the filesystem see it when a rule of it is removed? A copy of the sources, one rule removed at a time: the test has to
# fail.
. "$(dirname "$0")/../../store/tests/mutants.sh"

as_they_are fs/tests/test_data
removed "nothing is left behind a new end" fs/core/resize.c 's/int rc = cut_last_block(fs, n, size, c);/int rc = 0;/'
removed "what was synced is not written once more" fs/core/write.c 's/!atomic_load_explicit(&n->run_broken, memory_order_relaxed)/n/'
removed "what is written over and over stays blocks" fs/core/write.c 's/#define RUN_OVER .*/#define RUN_OVER FS_CHUNK/'
removed "the size is that of what was written" fs/core/write.c 's/if (next.size < off + size)/if (!n)/'
removed "a write takes suid" fs/core/write.c 's/^    if (kill_priv)$/    if (!n)/'

as_they_are fs/tests/test_orphan
removed "a file without a name has a garbage record" fs/core/unlink.c 's/if (has_more_than_its_record(next))/if (!n)/'
removed "data goes with the last reference" fs/core/node.c 's/node_orphan_ends(fs, n);/(void)fs;/'
removed "a first name ends being garbage" fs/core/make.c 's/^        if (n->garbage_recorded)$/        if (!c)/'
removed "who has lost the last name gets no other" fs/core/make.c 's/n->orphan && !n->linkable/!n/'
removed "only the first name comes from having none" fs/core/make.c 's/n->orphan = n->linkable = n->garbage_recorded = false;/n->orphan = n->garbage_recorded = false;/'

as_they_are fs/tests/test_names
removed "a folder with names is not removed" fs/core/unlink.c 's/ : any ? -ENOTEMPTY : 0;/ : any ? 0 : 0;/'
removed "a folder loses its link with a folder in it" fs/core/unlink.c 's/next_dir.nlink -= .*;//'

as_they_are fs/tests/test_chunks
removed "a block that is written later leaves its chunk" fs/core/data.c 's/chunk->map &= (uint16_t)~bit;//'

as_they_are fs/tests/test_chunk_space
removed "what leaves a chunk is freed" fs/core/chunk.c 's/^    if (gone)$/    if (!c)/'

as_they_are fs/tests/test_chunk_faults
removed "a block of a chunk has a checksum" fs/core/chunk.c 's/if (c->crc\[i\] == chunk_block_crc(bytes))/if (c)/'

as_they_are fs/tests/test_chunk_crash
removed "no hole is made before the change is in a table" fs/core/freed.c 's/        rc = store_flush(fs->store);/        rc = 0;/; s/if (rc == 0 \&\& any \&\& store_flushed_sequence(fs->store) < upto)/if (!fs)/'
removed "a sync covers the segments" fs/core/segments.c 's/rc = env_sync(s->env, t->files\[i\]->file);/rc = 0;/'

as_they_are fs/tests/test_fs_crash
removed "an fsync waits for the inode's last change" fs/core/sync.c 's/\*sequence = atomic_load(&n->last_sequence);/*sequence = 1;/'
removed "no inode number is given twice" fs/core/ino.c 's/        rc = reserve(fs);/        fs->super.next_ino += STEP;/'

as_they_are fs/tests/test_mend
removed "numbers are above all that occur" fs/core/mend.c 's/s.next_ino = number + 1;/s.next_ino += 0;/'
removed "what is there is no garbage" fs/core/mend.c 's/^    if (!right)$/    if (!i)/'
removed "places of chunks are known again" fs/core/mend.c 's/rc = each(&c, KEY_EXTENT, mend_chunk);/rc = 0;/'

as_they_are fs/tests/test_mend_tree
removed "what has no inode is found" fs/core/mend_tree.c 's/return !s->there && (/return 0 \&\& (/'
removed "names of nothing go" fs/core/mend_tree.c 's/^    if (may_be_named(s))$/    if (s)/'
removed "folders in each other are taken apart" fs/core/mend_lost.c 's/return at == s;/return false;/'
removed "a file is as long as its data" fs/core/mend_tree.c 's/^    i->size = end;//'
removed "a truncation goes on only where it was under way" fs/core/mend_tree.c 's/ && s->cut && s->cut_from >= data_end(i->size)) {/) {/'
removed "a file that was cut is not gone" fs/core/mend_tree.c 's/s->garbage = g.gone;/s->garbage = true;/'
removed "no block is stored twice" fs/core/mend_tree.c 's/chunk->map &= .*;//'
removed "an inode moves once" fs/core/mend_tree.c 's/^        s->embedded = false;//'
removed "who cuts a file with lost blocks looks for them" fs/core/mend_tree.c 's/if (s->chunks || (!sparse && extents < all))/if (s->chunks)/'
removed "an entry has a name that calls can make" fs/core/mend_damaged.c 's/if (is_bad_name(key.data + 9, key.len - 9))/if (!seen)/'
removed "a place is on the grid" fs/core/mend_damaged.c 's/return offset >= SEGMENT_HEADER && .*/return offset > 0;/'
removed "what has data is a file" fs/core/mend_tree.c 's/i->mode = (i->mode & ~(mode_t)S_IFMT) | S_IFREG;//'
removed "a damaged record goes first" fs/core/mend.c 's/rc = mend_damaged(fs);/rc = 0;/'
removed "a lost block is no hole" fs/core/data.c 's/return n->inode.flags & INODE_SPARSE$/return n/'
removed "links are counted" fs/core/mend_tree.c 's/next.nlink = s->references .*;//'
removed "a folder knows where it is" fs/core/mend_tree.c 's/next.parent = .*;//'

as_they_are fs/tests/test_acl
removed "lists of what has no name are garbage" fs/core/make.c 's/bool garbage = i.flags .*;/bool garbage = false;/'
exit $survivors
