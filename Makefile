# SPDX-License-Identifier: Apache-2.0
#
# Netbus. One file, not recursive: what is built from what stands here and nowhere else. `make help` lists the targets.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
# V=1 shows whole command lines.
Q  := $(if $(V),,@)

VERSION := 0.1.0

# ---- how it is compiled ------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough \
        -Wdouble-promotion -Wno-missing-field-initializers
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE \
        -fno-strict-overflow -fno-delete-null-pointer-checks
HARDEN_LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifdef SANITIZE
# The sanitizers hide from gcc what it knows of values: then it sees truncations and uninitialised values that are none.
OPTIMISE := -O1 -g -Wno-format-truncation -Wno-maybe-uninitialized -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
SANITIZE_LINK := -fsanitize=$(SANITIZE)
else
OPTIMISE := -O2 -g -D_FORTIFY_SOURCE=2
endif
CPPFLAGS += -D_GNU_SOURCE -I. -DNETBUS_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu17 $(OPTIMISE) $(WARN) $(HARDEN)
LDFLAGS  += $(HARDEN_LINK) $(SANITIZE_LINK) -Wl,--as-needed

# ---- what it is made of ------------------------------------------------------------------------------------------

FOLDERS := base wire policy authz crypto db backend frontend
# Every folder is an archive, so that a program gets only the objects (and so only the libraries) that it uses.
ARCHIVES := $(FOLDERS:%=$(BUILD)/lib/%.a)
object   = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# Programs, their files and their tests that need Xen's headers and libraries are left out where these are missing, or with XEN=no.
XEN := $(shell printf '\#include <%s>\n' xen/io/blkif.h xenstore.h xengnttab.h xenevtchn.h | $(CC) -E -x c - >/dev/null 2>&1 && echo yes || echo no)
XEN_FILES  := frontend/xen% daemon/xen% daemon/attach_xen% tests/unit/xen% tests/fuzz/fuzz_xen% tests/tool/xen% tests/sim/% tests/xenstore/% tests/xen/hostile% tests/xen/guest_disk% tests/xen/grants%
XEN_LIBS   := $(if $(filter yes,$(XEN)),-lxenstore -lxengnttab -lxenevtchn)
buildable   = $(if $(filter yes,$(XEN)),$(1),$(filter-out $(XEN_FILES),$(1)))
sources     = $(call buildable,$(wildcard $(1)))

# What several processes share.
CONFIG := daemon/config.c daemon/config_xen.c
SHARED := daemon/channel.c $(CONFIG) daemon/custody.c
ATTACH := daemon/attach.c daemon/attach_lane.c daemon/attach_release.c daemon/channel.c daemon/custody.c

# What only a Xen host needs.
XEN_PROGRAMS := netbus-attach-xen netbus-xenwatch netbus-xen-dm
PROGRAMS := netbusd netbus-gate netbus-session netbus-attach netbus-broker netbus-keys netbus-enrol netbus-join netbus-admin \
        $(if $(filter yes,$(XEN)),$(XEN_PROGRAMS))
SOURCES_netbusd        := daemon/netbusd.c $(wildcard daemon/monitor*.c) daemon/channel.c daemon/outbox.c $(CONFIG)
SOURCES_netbus-gate    := $(wildcard daemon/gate*.c) daemon/channel.c daemon/outbox.c
SOURCES_netbus-session := $(wildcard daemon/session*.c) daemon/channel.c daemon/custody.c
SOURCES_netbus-attach  := $(ATTACH) daemon/attach_nbd.c
SOURCES_netbus-attach-xen := $(ATTACH) $(wildcard daemon/attach_xen*.c)
SOURCES_netbus-xenwatch := $(wildcard daemon/xenwatch*.c) daemon/channel.c daemon/outbox.c
SOURCES_netbus-broker  := $(wildcard daemon/broker*.c) daemon/channel.c daemon/outbox.c $(CONFIG)
SOURCES_netbus-keys    := $(wildcard daemon/keys*.c) daemon/channel.c
SOURCES_netbus-enrol   := daemon/enrol.c daemon/enrol_stream.c daemon/channel.c
SOURCES_netbus-join    := daemon/join.c daemon/join_files.c daemon/enrol_stream.c daemon/channel.c
SOURCES_netbus-admin   := $(wildcard admin/*.c)
SOURCES_netbus-xen-dm  := $(wildcard daemon/xen_dm*.c)

LIBS_netbusd        := -lyaml -lseccomp
LIBS_netbus-gate    := -lseccomp
LIBS_netbus-session := -lssl -lcrypto -luring -lseccomp
LIBS_netbus-attach  := -lssl -lcrypto -lseccomp
LIBS_netbus-attach-xen := -lssl -lcrypto -lseccomp -lxengnttab -lxenevtchn
LIBS_netbus-xenwatch := -lxenstore -lseccomp
LIBS_netbus-broker  := -lsqlite3 -lyaml -lsodium -ljansson -lseccomp
LIBS_netbus-keys    := -lcrypto -lsodium -lseccomp
LIBS_netbus-enrol   := -lseccomp
LIBS_netbus-join    := -lcrypto -lsodium -lseccomp
LIBS_netbus-admin   := -ljansson -lyaml -lsodium -lcrypto
LIBS_netbus-xen-dm  := -lxenstore -ljansson -lseccomp
LIBS_all            := -lssl -lcrypto -luring -lsqlite3 -lyaml -lsodium -lseccomp -ljansson $(XEN_LIBS)

UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(call sources,tests/unit/*_test.c))
FUZZERS    := $(patsubst tests/fuzz/%.c,%,$(call sources,tests/fuzz/fuzz_*.c))
TOOLS      := $(patsubst tests/tool/%.c,%,$(call sources,tests/tool/*.c))

C_FILES := $(foreach d,$(FOLDERS) daemon admin,$(call sources,$(d)/*.c))
H_FILES := $(foreach d,$(FOLDERS) daemon admin,$(call sources,$(d)/*.h))
T_FILES := $(call sources,tests/*/*.c tests/*/*.h)

.PHONY: all demo check check-unit check-model check-model-full check-arch check-system check-asan check-sanitized check-epoll check-fuzz check-kill check-xen bench bench-quick bench-revoke bench-attach bench-policy bench-xen lint format install uninstall help clean setup tests fuzzers
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PRECIOUS: $(BUILD)/obj/%.o build-fuzz/obj/%.o

all: $(PROGRAMS:%=$(BUILD)/bin/%) compile_commands.json ## build all programs
	@$(if $(filter yes,$(XEN)),:,echo 'netbus: built without Xen: its headers and libraries (libxen-dev) are not there; $(XEN_PROGRAMS) are left out')

# ---- set-up ------------------------------------------------------------------------------------------------------

# These goals install what apt lacks; the others only say what is missing.
ifneq ($(filter setup demo check check-% lint bench%,$(MAKECMDGOALS)),)
SETUP_MODE := install
else
SETUP_MODE := check
endif

$(BUILD)/setup.ok: tests/setup tests/packages
	@mkdir -p $(BUILD)
	@tests/setup $(SETUP_MODE)
	@touch $@

setup: $(BUILD)/setup.ok ## install the packages that building and testing need

$(BUILD)/setup-bench.ok: tests/setup tests/bench/packages | $(BUILD)/setup.ok
	@tests/setup $(SETUP_MODE) tests/bench/packages
	@touch $@

# ---- rules -------------------------------------------------------------------------------------------------------

$(BUILD)/obj/%.o: %.c | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define folder_archive
$(BUILD)/lib/$(1).a: $(call object,$(call sources,$(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_archive,$(f))))

define program
$(BUILD)/bin/$(1): $(call object,$(SOURCES_$(1))) $(ARCHIVES)
	@mkdir -p $$(@D)
	@echo '  LINK  $(1)'
	$$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $(call object,$(SOURCES_$(1))) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(call object,$(CONFIG) daemon/channel.c) $(ARCHIVES)
	@mkdir -p $(@D)
	@echo '  LINK  $(@F)'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call object,$(CONFIG) daemon/channel.c) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all) -lcmocka

$(BUILD)/tool/%: $(BUILD)/obj/tests/tool/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	@echo '  LINK  $(@F)'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all) -lnbd

# The simulator of a Xen guest (tests/sim/sim.h): no part of the product.
SIM := $(if $(filter yes,$(XEN)),$(addprefix $(BUILD)/sim/,guest xenwatch libxengnttab.so.1 libxenevtchn.so.1))

$(BUILD)/sim/guest: $(call object,$(wildcard tests/sim/guest*.c))
	@mkdir -p $(@D)
	@echo '  LINK  $(@F) (simulator)'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/sim/xenwatch: $(call object,tests/sim/xenwatch.c daemon/channel.c) $(ARCHIVES)
	@mkdir -p $(@D)
	@echo '  LINK  $(@F) (simulator)'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(call object,tests/sim/xenwatch.c daemon/channel.c) -Wl,--start-group $(ARCHIVES) -Wl,--end-group

$(BUILD)/sim/lib%.so.1: tests/sim/xen_libs.c tests/sim/xen_libs.map tests/sim/sim.h | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  LINK  $(@F) (simulator)'
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -Wl,--version-script=tests/sim/xen_libs.map -o $@ tests/sim/xen_libs.c

# The lease engine's model checker and simulator (tests/model).
MODEL_TOOLS := check simulate
MODEL_check := tests/model/check.c tests/model/states.c tests/model/moves.c tests/model/hands.c tests/model/promises.c
MODEL_simulate := $(wildcard tests/model/simulate*.c)


define model_tool
$(BUILD)/model/$(1): $(call object,$(MODEL_$(1))) $(ARCHIVES)
	@mkdir -p $$(@D)
	@echo '  LINK  $(1)'
	$$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $(call object,$(MODEL_$(1))) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all)
endef
$(foreach t,$(MODEL_TOOLS),$(eval $(call model_tool,$(t))))

# What stands in for the two Xen programs where only what the others do with them is tested.
STANDINS := netbus-xenwatch netbus-attach-xen
STANDIN_netbus-xenwatch   := tests/standin/xenwatch.c daemon/channel.c
STANDIN_netbus-attach-xen := tests/standin/attach_xen.c $(ATTACH)

define standin
$(BUILD)/standin/$(1): $(call object,$(STANDIN_$(1))) $(ARCHIVES)
	@mkdir -p $$(@D)
	@echo '  LINK  $(1) (stand-in)'
	$$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $(call object,$(STANDIN_$(1))) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all)
endef
$(foreach t,$(STANDINS),$(eval $(call standin,$(t))))

# netbus-xenwatch against a real xenstored (tests/system/xenstore.test): its peers, and what xenstored needs to run without Xen.
XENSTORE_TEST := $(if $(filter yes,$(XEN)),$(BUILD)/xenstore/drive $(BUILD)/xenstore/alone.so)

$(BUILD)/xenstore/drive: $(call object,$(wildcard tests/xenstore/drive*.c)) $(ARCHIVES)
	@mkdir -p $(@D)
	@echo '  LINK  $(@F)'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(call object,$(wildcard tests/xenstore/drive*.c)) -Wl,--start-group $(ARCHIVES) -Wl,--end-group -lxenstore

# Into a program that has no sanitizer.
$(BUILD)/xenstore/alone.so: tests/xenstore/alone.c | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  LINK  $(@F)'
	$(Q)$(CC) $(CPPFLAGS) -std=gnu17 -O1 $(WARN) -Wno-nonnull -shared -fPIC -o $@ $< -ldl

# The bench: a load generator and the server that shows the limit of the machine.
BENCH_TOOLS := generator limit_server limit_proxy
SOURCES_policy       := tests/bench/policy.c
SOURCES_generator    := tests/bench/generator.c tests/bench/speak_nbd.c tests/bench/speak_netbus.c tests/bench/server_cpu.c tests/bench/bulk.c
SOURCES_limit_server := tests/bench/limit_server.c tests/bench/bulk.c
SOURCES_limit_proxy  := tests/bench/limit_proxy.c tests/bench/bulk.c

define bench_tool
$(BUILD)/bench/$(1): $(call object,$(SOURCES_$(1))) $(ARCHIVES)
	@mkdir -p $$(@D)
	@echo '  LINK  $(1)'
	$$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $(call object,$(SOURCES_$(1))) -Wl,--start-group $(ARCHIVES) -Wl,--end-group -lssl -lcrypto -lyaml -pthread
endef
$(foreach t,$(BENCH_TOOLS) policy,$(eval $(call bench_tool,$(t))))

# What tests/xen runs inside its emulated machines and guests, and what makes their kernel: static, and never with a sanitizer.
XEN_TOOLS := agent vmlinux work hostile load hypercalls grants

$(BUILD)/xen/%: tests/xen/%.c tests/xen/now.h | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 -O2 -g $(WARN) -static -pthread -o $@ $<

# The exceptions: libxenstore's thread does not start in a static program.
xen_tool = $(CC) -D_GNU_SOURCE -I. -std=gnu17 -O2 -g $(WARN) -o $@ $(filter %.c,$^) -Wl,--as-needed -lxenstore -lxengnttab -lxenevtchn
$(BUILD)/xen/hostile: $(wildcard tests/xen/hostile*.c) tests/xen/guest_disk.c $(wildcard tests/xen/*.h) | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  CC    tests/xen/hostile.c'
	$(Q)$(xen_tool)
$(BUILD)/xen/grants: tests/xen/grants.c tests/xen/now.h | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(xen_tool)

# The fuzzers and what they need, with clang and its libFuzzer, in one place for every build: make check-asan takes what make check built.
FUZZ_BUILD    := build-fuzz
FUZZ_SANITIZE := address,undefined
FUZZ_CFLAGS   := -std=gnu17 -O1 -g -fno-omit-frame-pointer $(WARN) -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -fno-sanitize-recover=all
FUZZ_ARCHIVES := $(FOLDERS:%=$(FUZZ_BUILD)/lib/%.a)
FUZZ_SECONDS  ?= 60
fuzz_object    = $(patsubst %.c,$(FUZZ_BUILD)/obj/%.o,$(1))

$(FUZZ_BUILD)/obj/%.o: %.c | $(BUILD)/setup.ok
	@mkdir -p $(@D)
	@echo '  FUZZ  $<'
	$(Q)clang $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

define fuzz_archive
$(FUZZ_BUILD)/lib/$(1).a: $(call fuzz_object,$(call sources,$(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call fuzz_archive,$(f))))

$(FUZZ_BUILD)/bin/%: $(FUZZ_BUILD)/obj/tests/fuzz/%.o $(call fuzz_object,$(CONFIG)) $(FUZZ_ARCHIVES)
	@mkdir -p $(@D)
	@echo '  LINK  $(@F)'
	$(Q)clang -fsanitize=fuzzer,$(FUZZ_SANITIZE) -Wl,--as-needed -o $@ $< $(call fuzz_object,$(CONFIG)) -Wl,--start-group $(FUZZ_ARCHIVES) -Wl,--end-group $(LIBS_all)

fuzzers: $(FUZZERS:%=$(FUZZ_BUILD)/bin/%)

compile_commands.json: Makefile
	@{ echo '['; first=1; for f in $(C_FILES) $(T_FILES); do case $$f in *.h) continue;; esac; \
	  [ $$first ] || echo ','; first=; \
	  printf '{"directory":"%s","file":"%s","arguments":["clang","-std=gnu17","-D_GNU_SOURCE","-I.","-DNETBUS_VERSION=\\"$(VERSION)\\"","-c","%s"]}' "$$PWD" $$f $$f; \
	done; echo ']'; } > $@

-include $(shell find $(BUILD)/obj $(FUZZ_BUILD)/obj -name '*.d' 2>/dev/null)

# ---- what it does ------------------------------------------------------------------------------------------------

demo: all ## show the product: two hosts on loopback, one share, from grant to revoke
	@NETBUS_BIN=$(abspath $(BUILD)/bin) tests/demo

tests: $(UNIT_TESTS:%=$(BUILD)/tests/%) $(TOOLS:%=$(BUILD)/tool/%) $(BUILD)/bench/generator $(MODEL_TOOLS:%=$(BUILD)/model/%) $(SIM) $(XENSTORE_TEST) $(STANDINS:%=$(BUILD)/standin/%)

check: all tests fuzzers ## build and pass all tests
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/run unit model arch golden fuzz system

check-unit: tests ## only the unit tests
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/run unit

check-model: $(MODEL_TOOLS:%=$(BUILD)/model/%) ## only the lease engine's model checker, simulator and mutants
	@NETBUS_BUILD=$(abspath $(BUILD)) CC="$(CC)" tests/run model

check-model-full: $(MODEL_TOOLS:%=$(BUILD)/model/%) ## the same, deeper: more hosts at once and millions of schedules (long)
	@NETBUS_BUILD=$(abspath $(BUILD)) CC="$(CC)" NETBUS_MODEL_FULL=1 tests/run model

check-arch: all tests ## only the architecture tests
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/run arch

check-system: all tests ## only the tests with real daemons; ONLY=name picks some
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/run system

# What the other engine changes is how a device is used; what has no device in it is not asked again.
WITHOUT_DEVICES := audit barred doctor enrol events install keys kill kill_lease limits limits_rate many output policy_change processes refusals restore \
	scale steal tenant ticket tls top observe xenstore
check-epoll: all tests ## the unit and system tests that use devices again where the kernel refuses io_uring, as some hosts do
	@NETBUS_BUILD=$(abspath $(BUILD)) $(BUILD)/tool/without_uring tests/run unit
	@NETBUS_BUILD=$(abspath $(BUILD)) NETBUS_WITHOUT_URING=1 LEAVE_OUT="$(WITHOUT_DEVICES:%=system/%)" tests/run system

# Left out: what only counts or takes long and runs no code that the others do not.
check-asan: ## the unit, fuzz and system tests again, built with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD=build-asan SANITIZE=address,undefined check-sanitized

check-sanitized: all tests fuzzers
	@NETBUS_BUILD=$(abspath $(BUILD)) LEAVE_OUT="$(patsubst %,system/%,guest kill_lease limits_rate long many scale)" tests/run unit golden fuzz system

check-fuzz: fuzzers ## each fuzzer for FUZZ_SECONDS (60); ONLY=name picks some. What they find is kept in build-fuzz/
	@NETBUS_FUZZ_SECONDS=$(FUZZ_SECONDS) ONLY=$(ONLY) bash tests/fuzz/fuzz.test

check-kill: all tests ## kill -9 of each process and host at each step of attach, renew, revoke and steal, 20 rounds each (hours)
	@NETBUS_BUILD=$(abspath $(BUILD)) NETBUS_ROUNDS=20 NETBUS_TEST_SECONDS=14400 ONLY=kill tests/run system

check-xen: all $(XEN_TOOLS:%=$(BUILD)/xen/%) ## real Xen in emulated machines, with unmodified guests; ONLY=name picks some (10 minutes)
	@$(MAKE) --no-print-directory BUILD=build-asan SANITIZE=address,undefined all
	@NETBUS_BUILD=$(abspath $(BUILD)) NETBUS_ASAN_BUILD=$(abspath build-asan) tests/run xen

bench: all $(BENCH_TOOLS:%=$(BUILD)/bench/%) $(BUILD)/setup-bench.ok ## measure against peers and the limit of the machine, into tests/bench/RESULTS.md (about half an hour)
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/bench/run full

bench-quick: all $(BENCH_TOOLS:%=$(BUILD)/bench/%) $(BUILD)/setup-bench.ok ## some of it in two minutes
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/bench/run quick

bench-revoke: all $(BUILD)/bench/generator ## a thousand hard revokes under 200 live leases: how long, and where the time goes (about six minutes; BENCH=quick: one)
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/bench/revoke $(BENCH)

bench-attach: all $(BUILD)/bench/generator $(BUILD)/setup-bench.ok ## what an attach costs each of the exporter's processes, and what an idle lane holds, beside nbdkit (about a minute)
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/bench/attach

bench-policy: $(BUILD)/bench/policy ## how fast policies of 10 to 10 000 rules load and decide, on one core
	@$(BUILD)/bench/policy

bench-xen: all $(XEN_TOOLS:%=$(BUILD)/xen/%) ## a Xen guest's disk from another host against xen-blkback and QEMU, into tests/bench/RESULTS-xen.md (about 15 minutes)
	@NETBUS_BUILD=$(abspath $(BUILD)) tests/xen/bench

lint: compile_commands.json | $(BUILD)/setup.ok ## layout, static analysis, scripts, licences
	@tests/lint

format: ## lay out the C sources
	clang-format -i $(C_FILES) $(H_FILES) $(T_FILES)

install: all ## install into $(DESTDIR)$(PREFIX)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" BUILD="$(BUILD)" etc/install install

uninstall: ## take away what install put there (configuration and state stay)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" BUILD="$(BUILD)" etc/install uninstall

clean: ## remove what was built
	rm -rf build build-asan build-clang build-fuzz compile_commands.json

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'
