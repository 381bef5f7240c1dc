package main

import (
	"encoding/json"
	"reflect"
	"testing"
)

func limited() host {
	return host{oomScoreAdj: 0, hardLimit: func(kind string) (uint64, bool) { return 20000, kind == "RLIMIT_NOFILE" }}
}

func processOf(t *testing.T, text string, inBundle bool, host host) map[string]any {
	t.Helper()
	rewritten, err := rewrite([]byte(text), inBundle, host)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(rewritten, &whole); err != nil {
		t.Fatal(err)
	}
	if process, found := whole["process"].(map[string]any); found {
		return process
	}
	return whole
}

func TestWhatTheHostCannotGrantIsTakenOut(t *testing.T) {
	process := processOf(t, `{"process":{"oomScoreAdj":-998,
		"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"]},
		"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1},{"type":"RLIMIT_NOFILE","hard":1024,"soft":1}]}}`,
		true, limited())
	bounding := process["capabilities"].(map[string]any)["bounding"]
	if !reflect.DeepEqual(bounding, []any{"CAP_CHOWN"}) {
		t.Errorf("capabilities: %v", bounding)
	}
	if process["oomScoreAdj"] != 0.0 {
		t.Errorf("score: %v", process["oomScoreAdj"])
	}
	if rlimits := process["rlimits"].([]any); len(rlimits) != 1 {
		t.Errorf("limits: %v", rlimits)
	}
}

func TestAHostWithTheCapabilityChangesNothingOfThese(t *testing.T) {
	able := host{hasSysResource: true, hardLimit: func(string) (uint64, bool) { return 0, false }}
	process := processOf(t, `{"oomScoreAdj":-998,"capabilities":{"bounding":["CAP_SYS_RESOURCE"]},
		"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1}]}`, false, able)
	if process["oomScoreAdj"] != -998.0 || len(process["rlimits"].([]any)) != 1 {
		t.Errorf("got %v", process)
	}
	if len(process["capabilities"].(map[string]any)["bounding"].([]any)) != 1 {
		t.Errorf("got %v", process)
	}
}

func TestPrivilegedContainersGetTheNewerCapabilities(t *testing.T) {
	process := processOf(t, `{"process":{"capabilities":{"effective":["CAP_SYS_ADMIN","CAP_SYS_MODULE","CAP_BPF"]}}}`,
		true, limited())
	got := process["capabilities"].(map[string]any)["effective"]
	want := []any{"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsNotKnownStays(t *testing.T) {
	rewritten, err := rewrite([]byte(`{"linux":{"resources":{"memory":{"limit":9223372036854771712}}}}`), true, limited())
	if err != nil || string(rewritten) != `{"linux":{"resources":{"memory":{"limit":9223372036854771712}}}}` {
		t.Errorf("got %s, %v", rewritten, err)
	}
}

func TestTheFileIsFoundAmongTheArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want description
	}{
		{[]string{"--root", "/run/r", "create", "--bundle", "/b", "id"}, description{"/b/config.json", true}},
		{[]string{"--log=/l", "run", "-b", "/b", "id"}, description{"/b/config.json", true}},
		{[]string{"create", "id"}, description{"config.json", true}},
		{[]string{"--root", "/r", "exec", "--process", "/p.json", "-d", "id"}, description{"/p.json", false}},
		{[]string{"exec", "-p", "/p.json", "id"}, description{"/p.json", false}},
		{[]string{"--root", "create", "delete", "--force", "id"}, description{}},
	} {
		if got := bundleOf(c.args); got != c.want {
			t.Errorf("%v: got %v, want %v", c.args, got, c.want)
		}
	}
}

func TestTheBoundingSetIsRead(t *testing.T) {
	if set := boundingSet("Name:\tx\nCapBnd:\t00000000feffffff\n"); set != 0xfeffffff || set&(1<<capSysResource) != 0 {
		t.Errorf("got %x", set)
	}
}
