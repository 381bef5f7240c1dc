{{/* Names, labels, images: what several templates have in common. */}}

{{/* A text as the first part of every object's name, a Service's included: at most 44 lower-case letters, digits and
hyphens, a letter first, so that the longest suffix still leaves a valid label value. A text that had to be changed ends with
a digest of itself: two that differ never share a name. */}}
{{- define "netprecursor.objectName" -}}
{{- if regexMatch "^[a-z]([a-z0-9-]{0,42}[a-z0-9])?$" . -}}
{{- . -}}
{{- else -}}
{{- $plain := lower . | replace "." "-" | replace "_" "-" -}}
{{- if not (regexMatch "^[a-z]" $plain) }}{{ $plain = printf "np-%s" $plain }}{{ end -}}
{{- printf "%s-%s" ($plain | trunc 35 | trimSuffix "-") (sha256sum . | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* A text as a label's value: at most 63 characters, a letter or digit last. */}}
{{- define "netprecursor.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (. | replace "+" "_" | trunc 63) "" -}}
{{- end -}}

{{- define "netprecursor.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{- define "netprecursor.fullname" -}}
{{- $name := include "netprecursor.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- include "netprecursor.objectName" .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- include "netprecursor.objectName" .Release.Name -}}
{{- else -}}
{{- include "netprecursor.objectName" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end -}}

{{- define "netprecursor.operator" -}}{{ include "netprecursor.fullname" . }}-operator{{- end -}}
{{- define "netprecursor.retire" -}}{{ include "netprecursor.fullname" . }}-retire{{- end -}}
{{- define "netprecursor.anchor" -}}{{ include "netprecursor.fullname" . }}-anchor{{- end -}}
{{- define "netprecursor.agent" -}}{{ include "netprecursor.fullname" . }}-agent{{- end -}}

{{- define "netprecursor.labels" -}}
{{- include "netprecursor.labelsWith" (dict "root" .) -}}
{{- end -}}

{{/* The same and more; takes (dict "root" $ "given" USER'S "own" CHART'S). What the chart says of its objects stays as it is:
selectors, Helm and the kubectl plugin go by it. */}}
{{- define "netprecursor.labelsWith" -}}
{{- $root := .root -}}
{{- $identity := dict
  "helm.sh/chart" (include "netprecursor.labelValue" (printf "%s-%s" $root.Chart.Name $root.Chart.Version))
  "app.kubernetes.io/name" (include "netprecursor.labelValue" (include "netprecursor.name" $root))
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" (include "netprecursor.labelValue" $root.Chart.AppVersion)
  "app.kubernetes.io/part-of" "netprecursor"
  "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- include "netprecursor.merged" (list $root.Values.commonLabels .given .own $identity) -}}
{{- end -}}

{{/* What never changes in the life of a release: a Deployment's selector cannot. */}}
{{- define "netprecursor.operatorSelector" -}}
app.kubernetes.io/name: netprecursor-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Agents as the operator labels them. */}}
{{- define "netprecursor.agentSelector" -}}
app.kubernetes.io/name: netprecursor-agent
app.kubernetes.io/instance: {{ include "netprecursor.agent" . | quote }}
{{- end -}}

{{/* [REGISTRY/]REPOSITORY:TAG[@DIGEST]; takes (dict "root" $ "image" .Values.….image). */}}
{{- define "netprecursor.image" -}}
{{- with .root.Values.imageRegistry }}{{ . }}/{{ end -}}
{{- .image.repository }}:{{ default .root.Chart.AppVersion .image.tag -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* An update strategy: what goes with RollingUpdate is left out with any other, so that naming the type is enough. */}}
{{- define "netprecursor.strategy" -}}
{{- if eq (default "RollingUpdate" .type) "RollingUpdate" }}{{ include "netprecursor.yaml" . }}{{ else }}{{ include "netprecursor.yaml" (pick . "type") }}{{ end -}}
{{- end -}}

{{/* Environment variables of the user, the last of each name: the API server refuses a list that has one twice. Takes (dict
"given" LIST "own" NAMES); those that the chart sets itself are left out. */}}
{{- define "netprecursor.environment" -}}
{{- $last := dict -}}
{{- range $index, $variable := .given }}{{ $_ := set $last $variable.name $index }}{{ end -}}
{{- range .own }}{{ $_ := set $last . -1 }}{{ end -}}
{{- $kept := list -}}
{{- range $index, $variable := .given -}}
{{- if eq $index (get $last $variable.name) }}{{ $kept = append $kept $variable }}{{ end -}}
{{- end -}}
{{- if $kept }}{{ include "netprecursor.yaml" $kept }}{{ end -}}
{{- end -}}
