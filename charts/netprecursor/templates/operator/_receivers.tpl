{{/* Receivers of alerts in operator.yaml. What is empty is left out; halves are for the operator to refuse. Starts on a line of
its own, or is empty. */}}
{{- define "netprecursor.receiversConfig" -}}
{{- with .Values.alertmanager }}
{{- if or .urls .username .secret.name }}
alertmanager:
  urls:
    {{- include "netprecursor.yaml" (default list .urls) | nindent 4 }}
  {{- if .urls }}
  resendInterval: {{ .resendInterval | quote }}
  {{- end }}
  {{- with include "netprecursor.receiverAccess" (dict "receiver" "alertmanager" "given" .) }}
  access:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- with .Values.webhook }}
{{- if or .url .username .secret.name }}
webhook:
  {{- with .url }}
  url: {{ . | quote }}
  {{- end }}
  {{- with .secret.url }}
  urlFile: {{ printf "/etc/netprecursor-receivers/webhook/%s" . | quote }}
  {{- end }}
  {{- with .secret.signing }}
  secretFile: {{ printf "/etc/netprecursor-receivers/webhook/%s" . | quote }}
  {{- end }}
  {{- with include "netprecursor.receiverAccess" (dict "receiver" "webhook" "given" .) }}
  access:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- with .Values.dashboardUrl }}
dashboardUrl: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Who the operator is to a receiver; takes (dict "receiver" NAME "given" VALUES). Empty where nothing is given. */}}
{{- define "netprecursor.receiverAccess" -}}
{{- $access := dict -}}
{{- with .given.username }}{{ $_ := set $access "username" . }}{{ end -}}
{{- $secret := .given.secret -}}
{{- $receiver := .receiver -}}
{{- range $field, $key := dict "passwordFile" $secret.password "tokenFile" $secret.token "caFile" $secret.ca "clientCertificateFile" $secret.clientCertificate "clientKeyFile" $secret.clientKey -}}
{{- if $key }}{{ $_ := set $access $field (printf "/etc/netprecursor-receivers/%s/%s" $receiver $key) }}{{ end -}}
{{- end -}}
{{- if $access }}{{ include "netprecursor.yaml" $access }}{{ end -}}
{{- end -}}

{{/* Receivers whose Secret is mounted, as JSON: {"secrets": {"alertmanager": NAME, …}}. A key without its Secret is refused: the
receiver would be left out without a word. */}}
{{- define "netprecursor.receiverSecrets" -}}
{{- $secrets := dict -}}
{{- range $receiver := list "alertmanager" "webhook" -}}
{{- $secret := (get $.Values $receiver).secret -}}
{{- if $secret.name -}}
{{- $_ := set $secrets $receiver $secret.name -}}
{{- else -}}
{{- range $field, $key := $secret -}}
{{- if $key }}{{ fail (printf "got %s.secret.%s without %s.secret.name, expected both: name the Secret that has the key %s" $receiver $field $receiver $key) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "secrets" $secrets | toJson -}}
{{- end -}}

{{/* The ports of receivers, as JSON: `ports`, and `unknown`, the values whose port the chart cannot see. */}}
{{- define "netprecursor.receiverPorts" -}}
{{- $ports := list -}}
{{- range append (default list .Values.alertmanager.urls) (default "" .Values.webhook.url) -}}
{{- $port := include "netprecursor.port" (dict "url" . "isInsecure" false) -}}
{{- if $port }}{{ $ports = append $ports (int $port) }}{{ end -}}
{{- end -}}
{{- $unknown := list -}}
{{- if .Values.webhook.secret.url }}{{ $unknown = append $unknown "webhook.secret.url" }}{{ end -}}
{{- dict "ports" (uniq $ports) "unknown" $unknown | toJson -}}
{{- end -}}
