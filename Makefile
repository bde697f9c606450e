# Everything is built below build/; "make help" lists the targets.
build   := $(CURDIR)/build
results := $(build)/results

# The tests of these packages run on the kernel that has IPVS. The others need
# at most root, and run here with the race detector.
vm_packages   := $(patsubst ./%/,%,$(sort $(dir $(shell grep -rlE 'NeedIPVS|"ipvs"' --include=*_test.go ./director ./integration))))
host_packages := ./integration ./integration/lab

# What each place promises: a test that finds it missing there fails.
unit_promise := netns,root,process-events,iptables,iptables-nft,iptables-legacy,setpriv,chromium,keepalived,promtool
packaging_promise := netns,make,dpkg,dpkg-deb,rpm,systemd-analyze
peers        := nginx,dovecot,redis,vsftpd,slapd,unbound,squid,haproxy
host_promise := netns,iptables,postfix,keepalived,frr,tcpdump,$(peers)
vm_promise   := $(host_promise),ipvs,ipvs-sip,ipvsadm

vm_run   := $(build)/vm -share $(results)
suite    := $(build)/suite
# On a machine that stands still for seconds, a test can fail that is not to blame:
# up to three of a part are run again, and the sum says so.
again    := -again 3
static   := CGO_ENABLED=0
go_files := $(shell find . -name '*.go' -not -path './build/*') go.mod

export LVSD_BINARY := $(build)/lvsd
# Where tests leave what somebody may want to look at, such as pictures of the page.
export LVSD_TEST_ARTEFACTS := $(results)

# The tests in virtual machines are parts. What packages say of themselves, and the
# faults, mostly wait and run beside everything else; the relay's look at outages and
# run by themselves. The larger systems of examples take longer on an emulated
# processor than all of these: they have a target of their own, "make systems".
fault_tests  := ^TestChaos$$
relay_tests  := ^Test(Relay|RelayWithoutSync|KeepConnections)$$
system_tests := ^Test(Exchange|TransparentNAT|WebFarm|RelayOfTwoSites)$$

.PHONY: help build test here unit packaging host vm vm-relay vm-ipvs vm-faults systems vm-tests demo bench-failover bench-instances bench-ipvs bench-checks bench-plan chaos soak package lint vulncheck fuzz install tools clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

build: $(build)/lvsd ## build the static binary, build/lvsd

test: install tools ## run every test; the last line is the sum
	@rm -rf $(results) && mkdir -p $(results)
	@status=0; \
	jobs=3; [ "$$($(build)/vm -where)" = guest ] || jobs=1; \
	echo "== lint, unit and host beside vm-ipvs and vm-faults, $$jobs at a time; each prints when it is done"; \
	$(MAKE) --no-print-directory --keep-going --jobs=$$jobs --output-sync=target vm-ipvs here vm-faults || status=1; \
	$(MAKE) --no-print-directory vm-relay || status=1; \
	echo "== sum"; \
	$(suite) total $(results)/unit $(results)/packaging $(results)/host $(results)/vm-ipvs $(results)/vm-faults $(results)/vm-relay || status=1; \
	exit $$status

# What needs no kernel with IPVS, one after the other.
here: tools
	@status=0; for target in lint unit packaging host; do \
		$(MAKE) --no-print-directory $$target || status=1; \
	done; exit $$status

unit: tools ## tests of packages by themselves, with the race detector
	@echo "== unit"; LVSD_TEST_REQUIRE=$(unit_promise) $(suite) $(again) -count $(results)/unit test -race \
		$$(go list ./... | grep -vE '/(integration(/lab)?|packaging)$$')

packaging: tools ## build a package, install it, run what it installed
	@echo "== packaging"; LVSD_TEST_REQUIRE=$(packaging_promise) $(suite) $(again) -count $(results)/packaging test ./packaging

host: tools $(build)/lvsd-race ## tests in namespaces of this machine, with the race detector in lvsd too
	@echo "== host"; LVSD_BINARY=$(build)/lvsd-race GORACE='halt_on_error=1 exitcode=66' LVSD_TEST_REQUIRE=$(host_promise) $(suite) $(again) -count $(results)/host test -race -parallel=4 -timeout=30m $(host_packages)

vm: vm-ipvs vm-faults vm-relay ## tests on a kernel with IPVS

vm-relay: vm-tests
	@echo "== vm-relay"; LVSD_TEST_REQUIRE=$(vm_promise) LVSD_TEST_ONLY=ipvs $(vm_run) -timeout 40m -- \
		$(suite) $(again) -count $(results)/vm-relay -run '$(relay_tests)' binaries $(build)/tests ./integration

vm-ipvs: vm-tests
	@echo "== vm-ipvs"; LVSD_TEST_REQUIRE=$(vm_promise) LVSD_TEST_ONLY=ipvs $(vm_run) -timeout 40m -- \
		$(suite) $(again) -count $(results)/vm-ipvs -skip '$(relay_tests)|$(fault_tests)|$(system_tests)' binaries $(build)/tests $(vm_packages)

vm-faults: vm-tests
	@echo "== vm-faults"; LVSD_TEST_REQUIRE=$(vm_promise) LVSD_TEST_ONLY=ipvs $(vm_run) -timeout 40m -- \
		$(suite) $(again) -count $(results)/vm-faults -run '$(fault_tests)' binaries $(build)/tests ./integration/chaos

systems: install vm-tests ## the larger systems of examples, on a kernel with IPVS; they take long where it is emulated
	@echo "== systems"; LVSD_TEST_REQUIRE=$(vm_promise) LVSD_TEST_ONLY=ipvs $(vm_run) -timeout 90m -- \
		$(suite) $(again) -count $(results)/systems -run '$(system_tests)' binaries $(build)/tests ./integration

vm-tests: tools
	@rm -rf $(build)/tests && mkdir -p $(build)/tests
	@for package in $(vm_packages); do \
		$(static) go test -c -o $(build)/tests/$$(echo $$package | tr / -).test ./$$package || exit 1; \
	done

demo: install tools $(build)/demo ## show the mail relay at work; DEMO_KEEP=1 goes on with the page of the MASTER
	@$(vm_run) $(if $(DEMO_KEEP),-timeout 24h -stdin -publish 9477,-timeout 40m) -- $(build)/demo

bench-failover: install $(build)/lvsd $(build)/bench ## measure outages beside keepalived; ARGS="-repeat 20 -only REGEXP"
	@$(build)/bench failover $(ARGS)

bench-instances: install $(build)/lvsd $(build)/bench ## measure 255 virtual routers beside keepalived
	@$(build)/bench instances $(ARGS)

bench-ipvs: install tools $(build)/bench ## measure IPVS beside keepalived and ipvsadm; ARGS="-sizes 100,1000 -repeat 5 -only REGEXP"
	@$(vm_run) -timeout 60m -- $(build)/bench ipvs $(ARGS)

bench-checks: install tools $(build)/bench ## measure health checks beside keepalived, then alone; ARGS="-sizes 1000,10000 -repeat 3 -only REGEXP"
	@$(vm_run) -timeout 60m -- $(build)/bench checks $(ARGS)
	@go test -run '^$$' -bench Pool -benchtime $(or $(BENCHTIME),10x) ./healthcheck

chaos: install tools $(build)/chaos ## break lvsd and keepalived on purpose; ARGS="-only REGEXP -seed N"
	@$(vm_run) -timeout 60m -- $(build)/chaos faults $(ARGS)

soak: install tools $(build)/chaos ## reload lvsd 10000 times, and half an hour of faults; ARGS="-reloads 10000 -for 30m"
	@$(vm_run) -timeout 3h -- $(build)/chaos soak $(ARGS)

bench-plan: ## measure the reading of files and the planner alone, to 50,000 real servers
	@go test -run '^$$' -bench 'Parse|Plan|Diff|Snapshot' -benchtime $(or $(BENCHTIME),5x) ./config ./director

# Packages are of VERSION, which is the last tag, or counts the commits.
nfpm          := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
architectures := amd64 arm64
formats       := deb rpm
packages      := $(build)/packages
stage          = $(packages)/stage
VERSION       ?= $(or $(shell git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//; s/-/+/'),0.0.0~git$(or $(shell git rev-list --count HEAD 2>/dev/null),0))
# The time of the last commit: what is built twice is the same.
package_epoch  = $(or $(shell git log -1 --format=%ct 2>/dev/null),0)

package: ## build the packages, build/packages; VERSION=1.2.3 architectures=amd64 formats=deb
	@rm -rf $(stage) && mkdir -p $(packages) $(stage)/generated
	@for architecture in $(architectures); do \
		GOARCH=$$architecture $(static) go build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' \
			-o $(stage)/$$architecture/lvsd ./cmd/lvsd || exit 1; \
	done
	@SOURCE_DATE_EPOCH=$(package_epoch) go run -ldflags '-X main.release=$(VERSION)' ./cmd/lvsd \
		generate $(stage)/generated --reference docs/configuration.md
	@gzip -9n $(stage)/generated/man/*
	@packaging/licences.sh >$(stage)/generated/third-party-licences.txt
	@for architecture in $(architectures); do for format in $(formats); do \
		ARCHITECTURE=$$architecture VERSION='$(VERSION)' STAGE=$(stage) SOURCE_DATE_EPOCH=$(package_epoch) \
			go run $(nfpm) package -f packaging/nfpm.yaml -p $$format -t $(packages) || exit 1; \
	done; done

lint: ## vet, staticcheck and gofumpt
	@echo "== lint"
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	@unformatted=$$(go run mvdan.cc/gofumpt@v0.12.0 -l .) && \
	if [ -n "$$unformatted" ]; then echo "gofumpt -w" $$unformatted; exit 1; fi

vulncheck: ## ask the database of Go's vulnerabilities about what is used, over the network
	go run golang.org/x/vuln/cmd/govulncheck@v1.8.0 ./...

fuzz: ## fuzz every fuzz test for a while; FUZZTIME=20s
	@for package in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$package | grep ^Fuzz); do \
			echo "$$package $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(or $(FUZZTIME),20s) $$package || exit 1; \
		done; \
	done

install: ## install the programs that the tests run
	@integration/install.sh

tools: $(build)/lvsd $(build)/vm $(build)/suite
	@mkdir -p $(results)

$(build)/lvsd: $(go_files)
	$(static) go build -trimpath -o $@ ./cmd/lvsd

$(build)/lvsd-race: $(go_files)
	CGO_ENABLED=1 go build -race -o $@ ./cmd/lvsd

$(build)/vm $(build)/suite $(build)/demo $(build)/bench $(build)/chaos: $(build)/%: $(go_files)
	$(static) go build -trimpath -o $@ ./integration/$*

clean: ## remove what was built
	rm -rf $(build)
