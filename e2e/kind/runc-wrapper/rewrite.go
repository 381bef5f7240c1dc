package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
)

const sysResource = "CAP_SYS_RESOURCE"

// Docker 20.10 knows no capability after AUDIT_READ, so its --privileged lacks these.
var sinceDocker = []string{"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}

func (d description) rewrite(host host) error {
	text, err := os.ReadFile(d.file)
	if err != nil {
		return err
	}
	rewritten, err := rewrite(text, d.inBundle, host)
	if err != nil {
		return err
	}
	return os.WriteFile(d.file, rewritten, 0o600)
}

// rewrite gives back the description without what the host cannot grant. Everything else stays as it is, also what
// this program knows nothing of.
func rewrite(text []byte, inBundle bool, host host) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	// Sizes and limits do not fit into a float.
	decoder.UseNumber()
	var whole map[string]any
	if err := decoder.Decode(&whole); err != nil {
		return nil, fmt.Errorf("expected an OCI description in JSON: %w", err)
	}
	process := whole
	if inBundle {
		// A bundle without a process is allowed: its container starts nothing.
		process, _ = whole["process"].(map[string]any)
	}
	if process != nil {
		capabilities(process, host)
		oomScore(process, host)
		limits(process, host)
	}
	return json.Marshal(whole)
}

func capabilities(process map[string]any, host host) {
	sets, _ := process["capabilities"].(map[string]any)
	for name, set := range sets {
		list, _ := set.([]any)
		if !host.hasSysResource {
			list = slices.DeleteFunc(list, func(c any) bool { return c == sysResource })
		}
		if slices.Contains(list, any("CAP_SYS_ADMIN")) && slices.Contains(list, any("CAP_SYS_MODULE")) { // --privileged
			for _, newer := range sinceDocker {
				if !slices.Contains(list, any(newer)) {
					list = append(list, newer)
				}
			}
		}
		sets[name] = list
	}
}

func oomScore(process map[string]any, host host) {
	wanted, _ := process["oomScoreAdj"].(json.Number)
	if score, err := wanted.Int64(); err == nil && score < host.oomScoreAdj && !host.hasSysResource {
		process["oomScoreAdj"] = host.oomScoreAdj
	}
}

func limits(process map[string]any, host host) {
	list, _ := process["rlimits"].([]any)
	if list == nil || host.hasSysResource {
		return
	}
	process["rlimits"] = slices.DeleteFunc(list, func(limit any) bool {
		wanted, _ := limit.(map[string]any)
		kind, _ := wanted["type"].(string)
		hard, _ := wanted["hard"].(json.Number)
		value, err := strconv.ParseUint(hard.String(), 10, 64)
		most, known := host.hardLimit(kind)
		return err != nil || !known || value > most
	})
}
