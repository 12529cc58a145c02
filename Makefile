# skeinfs: build, mount, test. `make help` lists the targets.
#
# Nothing beyond git and make is expected to be there: whatever needs a compiler or a library is evaluated only when a
# recipe runs, after `make deps` has installed what is missing.

BUILD ?= build
STORE ?= ./data
MOUNTPOINT ?= ./mnt
PREFIX ?= /usr/local
CC = gcc
OPT ?= -O2
SANITIZE ?=
WERROR ?=

CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE -g $(OPT) -Wall -Wextra $(if $(WERROR),-Werror) \
             $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(CFLAGS)
FUSE_CFLAGS = $(shell pkg-config --cflags fuse3)
FUSE_LIBS = $(shell pkg-config --libs fuse3)
CHECK_CFLAGS = $(shell pkg-config --cflags check)
CHECK_LIBS = $(shell pkg-config --libs check)
STORE_LIBS = -lisal -lsnappy -lpthread

# ---- sources

FIND_C = $(sort $(shell find $(1) -name '*.c'))
STORE_SRC := $(filter-out store/tests/% store/bench/% store/fuzz/%,$(call FIND_C,store))
FS_SRC := $(filter-out fs/tests/% fs/fuzz/% fs/cmd/main.c,$(call FIND_C,fs))
BENCH_SRC := $(filter-out store/bench/peers/%,$(call FIND_C,store/bench))
PEERS_SRC := $(call FIND_C,store/bench/peers)
STORE_TESTS := $(sort $(wildcard store/tests/test_*.c))
FS_TESTS := $(sort $(wildcard fs/tests/test_*.c))
STORE_TEST_HELP := $(filter-out $(STORE_TESTS),$(wildcard store/tests/*.c))
FS_TEST_HELP := $(filter-out $(FS_TESTS),$(wildcard fs/tests/*.c))
MOUNT_C := $(sort $(wildcard mount-tests/*.c))

OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(STORE_TESTS) $(FS_TESTS))
POSIX_HELP := mount-tests/posix/posix.c store/tests/run_suite.c
POSIX_C := $(filter-out $(POSIX_HELP),$(sort $(wildcard mount-tests/posix/*.c)))
MOUNT_BIN := $(patsubst %.c,$(BUILD)/%,$(MOUNT_C) $(POSIX_C)) $(BUILD)/mount-tests/random_ops

.PHONY: all help deps deps-test deps-ci mount umount test unit mount-test asan tsan torture coverage clang bench bench-store format format-check \
        install clean
.DEFAULT_GOAL := all
.SECONDARY:

all: $(BUILD)/skeinfs ## Build build/skeinfs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo "  Settings: STORE=$(STORE) MOUNTPOINT=$(MOUNTPOINT) BUILD=$(BUILD) CC=$(CC) PREFIX=$(PREFIX) T=(a mount test)"

# ---- packages (README.md says what each is for)

DEPS = gcc libc6-dev pkg-config libfuse3-dev fuse3 libisal-dev libsnappy-dev
DEPS_TEST = $(DEPS) git check rsync sqlite3 strace libleveldb-dev \
            attr acl liblmdb-dev lmdb-utils rocksdb-tools postgresql \
            vim-tiny logrotate cmake stress-ng fio
DEPS_BENCH = $(DEPS) libleveldb-dev librocksdb-dev gnuplot-nox
DEPS_BENCH_MOUNT = $(DEPS) e2fsprogs xfsprogs bindfs git sqlite3 fio fsmark postgresql
DEPS_CI = $(DEPS_TEST) clang clang-format libclang-rt-14-dev

deps: ## Install what building and mounting needs
	@sh .ci/install-packages $(DEPS)

deps-test:
	@sh .ci/install-packages $(DEPS_TEST)

deps-ci:
	@sh .ci/install-packages $(DEPS_CI)

# ---- build

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(if $(filter fs/%,$<),$(FUSE_CFLAGS)) -MMD -MP -c $< -o $@

$(BUILD)/libstore.a: $(call OBJ,$(STORE_SRC))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/libfs.a: $(call OBJ,$(FS_SRC))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/skeinfs: $(call OBJ,fs/cmd/main.c) $(BUILD)/libfs.a $(BUILD)/libstore.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(FUSE_LIBS) $(STORE_LIBS)

$(BUILD)/store-bench: $(call OBJ,$(BENCH_SRC)) $(BUILD)/libstore.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(STORE_LIBS) -lm

# What is not installed is left out, with a line when it runs.
$(BUILD)/bench-store: $(call OBJ,$(PEERS_SRC)) $(BUILD)/libstore.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(STORE_LIBS) $(if $(wildcard /usr/include/leveldb/c.h),-lleveldb) \
	    $(if $(wildcard /usr/include/rocksdb/c.h),-lrocksdb)

$(BUILD)/store/tests/%: store/tests/%.c $(call OBJ,$(STORE_TEST_HELP)) $(BUILD)/libstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CHECK_CFLAGS) -MMD -MP -MF $@.d $< $(call OBJ,$(STORE_TEST_HELP)) $(BUILD)/libstore.a -o $@ \
	    $(CHECK_LIBS) $(STORE_LIBS) -lm $(if $(findstring leveldb,$@),-lleveldb)

$(BUILD)/fs/tests/%: fs/tests/%.c $(call OBJ,$(FS_TEST_HELP) $(STORE_TEST_HELP)) $(BUILD)/libfs.a \
                     $(BUILD)/libstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CHECK_CFLAGS) $(FUSE_CFLAGS) -MMD -MP -MF $@.d $< \
	    $(call OBJ,$(FS_TEST_HELP) $(STORE_TEST_HELP)) $(BUILD)/libfs.a $(BUILD)/libstore.a -o $@ $(CHECK_LIBS) $(FUSE_LIBS) $(STORE_LIBS) -lm

$(BUILD)/mount-tests/random_ops: $(call OBJ,$(wildcard mount-tests/random_ops/*.c))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $^ -o $@

$(POSIX_C:%.c=$(BUILD)/%): $(BUILD)/%: %.c $(call OBJ,$(POSIX_HELP))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CHECK_CFLAGS) -MMD -MP -MF $@.d $< $(call OBJ,$(POSIX_HELP)) -o $@ $(CHECK_LIBS) -lpthread

$(BUILD)/mount-tests/%: mount-tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $< -o $@ -lpthread $(if $(findstring leveldb,$@),-lleveldb) $(if $(findstring lmdb,$@),-llmdb)

# The bench's null filesystem is the code for FUSE on a core of its own.
$(BUILD)/mount-tests/bench/null_fs: mount-tests/bench/null_fs.c $(BUILD)/libfs.a $(BUILD)/libstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(FUSE_CFLAGS) $< $(filter $(BUILD)/obj/fs/fuse/%,$(call OBJ,$(FS_SRC))) $(BUILD)/libstore.a -o $@ \
	    $(FUSE_LIBS) $(STORE_LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- mount

mount: deps ## Install what is missing, build, and mount STORE on MOUNTPOINT
	@$(MAKE) --no-print-directory all
	@mkdir -p "$(MOUNTPOINT)" 2>/dev/null || true # skeinfs says what is wrong with it
	@if mountpoint -q "$(MOUNTPOINT)"; then echo "$(MOUNTPOINT) is mounted already"; else \
	    $(BUILD)/skeinfs mount "$(STORE)" "$(MOUNTPOINT)" && \
	    echo "skeinfs: $(STORE) is mounted on $(MOUNTPOINT)"; fi
	@echo "Try:"
	@echo "    cp -r store $(MOUNTPOINT)/ && ls -l $(MOUNTPOINT)/store && df -h $(MOUNTPOINT)"
	@echo "    $(BUILD)/skeinfs umount $(MOUNTPOINT)     # when done; make mount finds everything again"

umount: ## Unmount MOUNTPOINT
	$(BUILD)/skeinfs umount "$(MOUNTPOINT)"

# ---- tests

test: deps-test ## Install what is missing, build, and run all tests
	@$(MAKE) --no-print-directory all test-programs
	@BUILD=$(BUILD) sh .ci/run-tests unit mount

.PHONY: test-programs unit-programs
unit-programs: $(UNIT_BIN)
test-programs: unit-programs $(MOUNT_BIN) $(BUILD)/mount-tests/bench/ops $(BUILD)/mount-tests/bench/null_fs $(BUILD)/store-bench

unit: unit-programs ## Run the unit tests
	@BUILD=$(BUILD) sh .ci/run-tests unit

mount-test: all $(MOUNT_BIN) $(BUILD)/mount-tests/bench/ops ## Run the tests on a real mount (one of them: T=git)
	@BUILD=$(BUILD) T=$(T) sh .ci/run-tests mount

asan: ## Unit tests under AddressSanitizer and UBSan
	@SHORT=1 $(MAKE) --no-print-directory unit BUILD=build/asan OPT=-O1 SANITIZE=address,undefined

TSAN_TESTS = test_queue test_env_window test_env_map test_lock_io test_memtable test_cache test_compaction test_version_set test_background test_sync_start test_beside \
             test_full_disk store/tests/test_model test_crash test_fault test_env_sim test_concurrent test_timer test_orphan \
             test_segments test_chunk

tsan: ## Unit tests of what is concurrent under ThreadSanitizer
	@$(MAKE) --no-print-directory unit-programs BUILD=build/tsan OPT=-O1 SANITIZE=thread
	@SHORT=1 STRIDE=20 BUILD=build/tsan ONLY="$(TSAN_TESTS)" sh .ci/run-tests unit

coverage: ## Which lines of store/ and fs/core the unit tests reach
	@$(MAKE) --no-print-directory unit-programs BUILD=build/coverage OPT=-O0 \
	    CFLAGS="$(CFLAGS) --coverage -fprofile-update=atomic"
	@BUILD=build/coverage sh .ci/coverage

torture: unit-programs ## Random suites with ever new seeds, until one fails or Ctrl-C (settings: .ci/run-torture)
	@BUILD=$(BUILD) bash .ci/run-torture $(NAMES)

FUZZERS = $(patsubst %.c,%,$(sort $(wildcard store/fuzz/fuzz_*.c fs/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 20
FUZZ_OBJ = $(call OBJ,$(filter-out %/run_suite.c,$(STORE_TEST_HELP))) $(BUILD)/libstore.a

$(BUILD)/store/fuzz/make_seeds: store/fuzz/make_seeds.c $(BUILD)/libstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(STORE_LIBS)

$(BUILD)/fs/fuzz/fuzz_%: fs/fuzz/fuzz_%.c $(BUILD)/libfs.a $(BUILD)/libstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $^ -o $@ $(FUSE_LIBS) $(STORE_LIBS)

$(BUILD)/store/fuzz/fuzz_%: store/fuzz/fuzz_%.c $(FUZZ_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $< $(FUZZ_OBJ) -o $@ $(STORE_LIBS)

.PHONY: fuzz fuzz-run
fuzz: ## Run each fuzzer of store/ and fs/ for FUZZ_SECONDS=20
	@$(MAKE) --no-print-directory fuzz-run BUILD=build/fuzz CC=clang OPT=-O1 SANITIZE=address,fuzzer-no-link

fuzz-run: $(BUILD)/store/fuzz/make_seeds $(FUZZERS:%=$(BUILD)/%)
	@$(BUILD)/store/fuzz/make_seeds $(BUILD)/corpus
	@for f in $(FUZZERS); do name=$${f##*/fuzz_}; echo "fuzz $$name: $(FUZZ_SECONDS) s"; mkdir -p $(BUILD)/corpus/$$name; \
	    $(BUILD)/$$f -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=60 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/found. $(BUILD)/corpus/$$name >$(BUILD)/fuzz.log 2>&1 || \
	    { tail -40 $(BUILD)/fuzz.log; exit 1; }; \
	    grep -o 'cov: [0-9]*' $(BUILD)/fuzz.log | tail -1; done

clang: ## Build all with clang
	@$(MAKE) --no-print-directory all test-programs BUILD=build/clang CC=clang

bench-mount: ## Time skeinfs beside ext4, XFS, bindfs and an empty FUSE filesystem (root; see mount-tests/bench/bench.sh)
	@sh .ci/install-packages $(DEPS_BENCH_MOUNT)
	@$(MAKE) --no-print-directory all $(addprefix $(BUILD)/mount-tests/bench/,ops maildir beside_stream null_fs)
	@BUILD=$(BUILD) bash mount-tests/bench/bench.sh

bench-store: ## Time the store beside LevelDB and RocksDB (short: ROUNDS=1 NUM=50000 ONLY=read; see store/bench/README.md)
	@sh .ci/install-packages $(DEPS_BENCH)
	@$(MAKE) --no-print-directory $(BUILD)/bench-store
	@mkdir -p $(BUILD)/bench
	@DIR=$(BUILD)/bench $(foreach v,ROUNDS NUM VALUE MS ONLY ENGINES BEYOND MEMTABLE CACHE BLOCK TABLE BLOOM OPEN COMPRESS,$(v)="$($(v))") \
	    $(BUILD)/bench-store
	@if [ "$(ENGINES)" = skein ]; then echo "$(BUILD)/bench: table.txt results.csv (no ratios: one engine)"; else \
	    cd $(BUILD)/bench && gnuplot $(CURDIR)/store/bench/peers/ratios.gp && echo "$(BUILD)/bench: table.txt results.csv ratios.png"; fi

bench: $(BUILD)/store-bench ## Build build/store-bench (takes db_bench's flags)

# ---- the house

C_FILES = $(sort $(shell find fs store mount-tests -name '*.[ch]'))

format: ## Format the sources
	clang-format -i $(C_FILES)

format-check: ## Are they formatted?
	clang-format --dry-run -Werror $(C_FILES)

install: all ## Install the command to PREFIX/bin (mount -t fuse.skeinfs finds it there)
	install -D $(BUILD)/skeinfs $(DESTDIR)$(PREFIX)/bin/skeinfs

clean: ## Delete what was built
	rm -rf build
