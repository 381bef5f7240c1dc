{{/* Where agents send OTLP, by the rules that they follow themselves: a signal's own variable, else the common one, else the
chart's value. As JSON: `ports`, and `unknown`, the variables whose port the chart cannot see. */}}
{{- define "netprecursor.otlp" -}}
{{- $common := "OTEL_EXPORTER_OTLP_ENDPOINT" -}}
{{- $variables := dict $common (dict "value" .Values.agent.otlp.endpoint) -}}
{{- range .Values.agent.env }}{{ $_ := set $variables .name . }}{{ end -}}
{{- $ports := list -}}
{{- $unknown := list -}}
{{- range $signal := list "METRICS" "LOGS" -}}
{{- $own := printf "OTEL_EXPORTER_OTLP_%s_ENDPOINT" $signal -}}
{{- $name := ternary $common $own (and (empty (dig $own "value" "" $variables)) (empty (dig $own "valueFrom" "" $variables))) -}}
{{- $port := ternary (include "netprecursor.port" (dig $name "value" "" $variables)) "?" (empty (dig $name "valueFrom" "" $variables)) -}}
{{- $isOff := or (eq "true" (dig "OTEL_SDK_DISABLED" "value" "" $variables | lower)) (eq "none" (dig (printf "OTEL_%s_EXPORTER" $signal) "value" "" $variables | lower)) -}}
{{- if or $isOff (not $port) -}}
{{- else if eq $port "?" -}}
{{- $unknown = append $unknown $name -}}
{{- else -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- end -}}
{{- dict "ports" (uniq $ports) "unknown" (uniq $unknown) | toJson -}}
{{- end -}}

{{/* The port that is dialled for a URL: its own, else that of its scheme; without a scheme it is gRPC's kind of address, which
means TLS. Empty for no URL; `?` where a reference to a variable, `$(NAME)`, may hide it. */}}
{{- define "netprecursor.port" -}}
{{- $authority := regexReplaceAll "^([A-Za-z][A-Za-z0-9+.-]*://)?([^/?#]*).*$" . "${2}" -}}
{{- $port := regexFind ":[^:@\\]]*$" $authority | trimPrefix ":" -}}
{{- if regexMatch "^[0-9]+$" $port -}}{{ $port }}
{{- else if or $port (contains "$(" .) -}}?
{{- else if hasPrefix "http://" (lower .) -}}80
{{- else if . -}}443
{{- end -}}
{{- end -}}
