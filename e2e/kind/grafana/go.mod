// The schema that dashboards are checked by.
module netprecursor.io/e2e/grafana

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
