{{/* Values as YAML that every reader reads alike. YAML 1.1 (kubectl, Helm) and 1.2 (the operator) differ in what they take for
a number or a switch: here every text is quoted, and nothing is left to them. */}}

{{/* Any value, in block style; what is empty comes as `{}` or `[]`. */}}
{{- define "netprecursor.yaml" -}}
{{- $lines := list -}}
{{- if and . (kindIs "map" .) -}}
{{- range $key, $value := . -}}
{{- $text := include "netprecursor.yaml" $value -}}
{{- $isBlock := and $value (or (kindIs "map" $value) (kindIs "slice" $value)) -}}
{{- $lines = append $lines (printf "%s:%s" (quote $key) (ternary (nindent 2 $text) (print " " $text) (not (not $isBlock)))) -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- else if and . (kindIs "slice" .) -}}
{{- range . -}}
{{- $lines = append $lines (printf "- %s" (include "netprecursor.yaml" . | indent 2 | trim)) -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- else if kindIs "string" . -}}
{{- quote . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* Several maps as one; takes a list of them, of which the last one that has a key is right. */}}
{{- define "netprecursor.merged" -}}
{{- $all := dict -}}
{{- range . }}{{ range $key, $value := . }}{{ $_ := set $all $key $value }}{{ end }}{{ end -}}
{{- include "netprecursor.yaml" $all -}}
{{- end -}}
