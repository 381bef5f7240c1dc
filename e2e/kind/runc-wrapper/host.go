package main

import (
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const capSysResource = 24 // include/uapi/linux/capability.h

// What a process of this host can hand on.
type host struct {
	// Whether CAP_SYS_RESOURCE is in the bounding set.
	hasSysResource bool
	// The OOM score adjustment below which nobody here may go.
	oomScoreAdj int64
	// The hard limit of a resource; false for one that is unknown.
	hardLimit func(kind string) (uint64, bool)
}

// Numbers of include/uapi/asm-generic/resource.h.
var resources = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

func thisHost() host {
	return host{
		hasSysResource: boundingSet(read("/proc/self/status"))&(1<<capSysResource) != 0,
		oomScoreAdj:    number(read("/proc/self/oom_score_adj")),
		hardLimit: func(kind string) (uint64, bool) {
			resource, known := resources[kind]
			if !known {
				return 0, false
			}
			var limit syscall.Rlimit
			if syscall.Getrlimit(resource, &limit) != nil {
				return 0, false
			}
			return limit.Max, true
		},
	}
}

// The line CapBnd of /proc/self/status (proc(5)); everything when there is none.
func boundingSet(status string) uint64 {
	for _, line := range strings.Split(status, "\n") {
		if digits, found := strings.CutPrefix(line, "CapBnd:"); found {
			if set, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64); err == nil {
				return set
			}
		}
	}
	return math.MaxUint64
}

func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return math.MinInt64
	}
	return n
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
