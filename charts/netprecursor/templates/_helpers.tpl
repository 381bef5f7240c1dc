{{/* Names, labels, images: what several templates have in common. */}}

{{- define "netprecursor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* 44 characters at most: the longest suffix still leaves a valid label value. */}}
{{- define "netprecursor.fullname" -}}
{{- $name := include "netprecursor.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "netprecursor.operator" -}}{{ include "netprecursor.fullname" . }}-operator{{- end -}}
{{- define "netprecursor.agent" -}}{{ include "netprecursor.fullname" . }}-agent{{- end -}}

{{- define "netprecursor.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "netprecursor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: netprecursor
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What never changes in the life of a release: a Deployment's selector cannot. */}}
{{- define "netprecursor.operatorSelector" -}}
app.kubernetes.io/name: netprecursor-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Agents as the operator labels them. */}}
{{- define "netprecursor.agentSelector" -}}
app.kubernetes.io/name: netprecursor-agent
app.kubernetes.io/instance: {{ include "netprecursor.agent" . }}
{{- end -}}

{{/* [REGISTRY/]REPOSITORY:TAG[@DIGEST]; takes (dict "root" $ "image" .Values.….image). */}}
{{- define "netprecursor.image" -}}
{{- with .root.Values.imageRegistry }}{{ . }}/{{ end -}}
{{- .image.repository }}:{{ default .root.Chart.AppVersion .image.tag -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The port of the OTLP endpoint: what it says, else what its scheme or protocol has by custom. */}}
{{- define "netprecursor.otlpPort" -}}
{{- $url := urlParse .Values.agent.otlp.endpoint -}}
{{- if regexMatch ":[0-9]+$" $url.host -}}
{{- regexFind "[0-9]+$" $url.host -}}
{{- else if eq .Values.agent.otlp.protocol "grpc" -}}4317
{{- else -}}4318
{{- end -}}
{{- end -}}

{{/* An update strategy: what goes with RollingUpdate is left out with any other, so that naming the type is enough. */}}
{{- define "netprecursor.strategy" -}}
{{- if eq (default "RollingUpdate" .type) "RollingUpdate" }}{{ toYaml . }}{{ else }}{{ toYaml (pick . "type") }}{{ end -}}
{{- end -}}
