{{/* operator.yaml, as netprecursor-operator's `Config` reads it: what is empty is left out, defaults are the operator's. */}}
{{- define "netprecursor.operatorConfig" -}}
{{- with .Values.clusterName }}
clusterName: {{ . | quote }}
{{- end }}
logLevel: {{ default .Values.logLevel .Values.operator.logLevel | quote }}
anchor: {{ include "netprecursor.fullname" . }}-anchor
leaseName: {{ include "netprecursor.operator" . }}
metricsListen: 0.0.0.0:8080
alertTtl: {{ .Values.alerts.ttl }}
caps:
  alertsPerNode: {{ int64 .Values.alerts.caps.perNode }}
  alertsPerNamespace: {{ int64 .Values.alerts.caps.perNamespace }}
  alertsPerCluster: {{ int64 .Values.alerts.caps.perCluster }}
agent:
  name: {{ include "netprecursor.agent" . }}
  serviceAccountName: {{ include "netprecursor.agent" . }}
  {{- with .Values.agent }}
  image: {{ include "netprecursor.image" (dict "root" $ "image" .image) | quote }}
  imagePullPolicy: {{ .image.pullPolicy }}
  logLevel: {{ default $.Values.logLevel .logLevel | quote }}
  stateDir: {{ .stateDir | quote }}
  terminationGracePeriodSeconds: {{ int64 .terminationGracePeriodSeconds }}
  lingerAfterLastPolicySeconds: {{ int64 .lingerAfterLastPolicySeconds }}
  {{- with .priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $agent := . }}
  {{- range $field := list "resources" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "env" "annotations" "labels" "podAnnotations" "podLabels" }}
  {{- with get $agent $field }}
  {{ $field }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .updateStrategy }}
  updateStrategy:
    {{- include "netprecursor.strategy" . | nindent 4 }}
  {{- end }}
  {{- with include "netprecursor.profiles" .securityContext }}
  securityContext:
    {{- . | nindent 4 }}
  {{- end }}
  {{- if .otlp.endpoint }}
  otlp:
    endpoint: {{ .otlp.endpoint | quote }}
    protocol: {{ .otlp.protocol }}
    {{- with .otlp.headersSecret }}
    headersSecret: {{ . | quote }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The profiles of a container that are given. */}}
{{- define "netprecursor.profiles" -}}
{{- $given := dict -}}
{{- range $field, $profile := . -}}
{{- if $profile }}{{ $_ := set $given $field $profile }}{{ end -}}
{{- end -}}
{{- if $given }}{{ toYaml $given }}{{ end -}}
{{- end -}}
