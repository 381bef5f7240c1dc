{{/* Where agents send OTLP, by the rules that they follow themselves: a signal's own variable, else the common one, else the
chart's value. As JSON: `ports`, and `unknown`, the variables whose port the chart cannot see. */}}
{{- define "netprecursor.otlp" -}}
{{- $variables := dict "OTEL_EXPORTER_OTLP_ENDPOINT" (dict "value" .Values.agent.otlp.endpoint) -}}
{{- range .Values.agent.env }}{{ $_ := set $variables .name . }}{{ end -}}
{{- $isDisabled := dig "OTEL_SDK_DISABLED" "value" "" $variables | trim | lower | eq "true" -}}
{{- $ports := list -}}
{{- $unknown := list -}}
{{- range $signal := list "METRICS" "LOGS" -}}
{{- $endpoint := include "netprecursor.otlpVariable" (dict "variables" $variables "signal" $signal "what" "ENDPOINT") | fromJson -}}
{{- $insecure := include "netprecursor.otlpVariable" (dict "variables" $variables "signal" $signal "what" "INSECURE") | fromJson -}}
{{- $port := include "netprecursor.port" (dict "url" $endpoint.value "isInsecure" (eq "true" (lower $insecure.value))) -}}
{{- $exporters := dig (printf "OTEL_%s_EXPORTER" $signal) "value" "" $variables | lower | nospace | splitList "," -}}
{{- $isElsewhere := or (has "none" $exporters) (and (has "prometheus" $exporters) (eq $signal "METRICS")) -}}
{{- if or $isDisabled (and $isElsewhere (not (has "otlp" $exporters))) -}}
{{- else if or $endpoint.isHidden (eq $port "?") -}}
{{- $unknown = append $unknown $endpoint.name -}}
{{- else if $port -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- end -}}
{{- dict "ports" (uniq $ports) "unknown" (uniq $unknown) | toJson -}}
{{- end -}}

{{/* A signal's own variable, else the common one; takes (dict "variables" DICT "signal" "METRICS" "what" "ENDPOINT"). */}}
{{- define "netprecursor.otlpVariable" -}}
{{- $found := dict "name" "" "value" "" "isHidden" false -}}
{{- $variables := .variables -}}
{{- range $name := list (printf "OTEL_EXPORTER_OTLP_%s" .what) (printf "OTEL_EXPORTER_OTLP_%s_%s" .signal .what) -}}
{{- $value := dig $name "value" "" $variables | trim -}}
{{- $isHidden := dig $name "valueFrom" "" $variables | empty | not -}}
{{- if or $value $isHidden }}{{ $found = dict "name" $name "value" $value "isHidden" $isHidden }}{{ end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The port that is dialled for a URL: its own, else that of its scheme; what has no scheme is secured unless it is said to be
insecure. Empty for no URL; `?` where a reference to a variable, `$(NAME)`, may hide it. Takes (dict "url" … "isInsecure" …). */}}
{{- define "netprecursor.port" -}}
{{- $authority := regexReplaceAll "^([A-Za-z][A-Za-z0-9+.-]*://)?([^/?#]*).*$" .url "${2}" -}}
{{- $port := regexFind ":[^:@\\]]*$" $authority | trimPrefix ":" -}}
{{- if not .url -}}
{{- else if regexMatch "^[0-9]+$" $port -}}{{ $port }}
{{- else if or $port (contains "$(" .url) -}}?
{{- else if or (hasPrefix "http://" (lower .url)) (and .isInsecure (not (contains "://" .url))) -}}80
{{- else -}}443
{{- end -}}
{{- end -}}
