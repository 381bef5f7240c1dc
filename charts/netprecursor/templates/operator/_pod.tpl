{{/* The operator's pod, to `run` or to `retire`; takes (dict "root" $ "command" COMMAND). */}}
{{- define "netprecursor.operatorPod" -}}
{{- $root := .root -}}
{{- $operator := .root.Values.operator -}}
{{- $isScaling := and (eq .command "run") .root.Values.externalMetrics.enabled -}}
{{- $secrets := ternary (get (include "netprecursor.receiverSecrets" .root | fromJson) "secrets") dict (eq .command "run") -}}
serviceAccountName: {{ include "netprecursor.operator" $root | quote }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- include "netprecursor.yaml" . | nindent 2 }}
{{- end }}
{{- with $operator.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
terminationGracePeriodSeconds: {{ int64 $operator.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
containers:
- name: operator
  image: {{ include "netprecursor.image" (dict "root" $root "image" $operator.image) | quote }}
  imagePullPolicy: {{ $operator.image.pullPolicy | quote }}
  args: [{{ .command }}, --config, /etc/netprecursor/operator.yaml]
  env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  {{- with include "netprecursor.environment" (dict "given" $operator.env "own" (list "POD_NAME" "POD_NAMESPACE")) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if eq .command "run" }}
  ports:
  - name: http
    containerPort: 8080
  {{- if $isScaling }}
  - name: scaling
    containerPort: 8443
  {{- end }}
  livenessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 5
    timeoutSeconds: 3
  {{- end }}
  {{- with $operator.resources }}
  resources:
    {{- include "netprecursor.yaml" . | nindent 4 }}
  {{- end }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
    {{- with include "netprecursor.profiles" $operator.securityContext }}
    {{- . | nindent 4 }}
    {{- end }}
  volumeMounts:
  - name: configuration
    mountPath: /etc/netprecursor
    readOnly: true
  {{- range $receiver, $secret := $secrets }}
  - name: {{ $receiver }}
    mountPath: /etc/netprecursor-receivers/{{ $receiver }}
    readOnly: true
  {{- end }}
  {{- if $isScaling }}
  - name: external-metrics
    mountPath: /etc/netprecursor-external-metrics
    readOnly: true
  {{- end }}
volumes:
- name: configuration
  configMap: {name: {{ include "netprecursor.operator" $root | quote }}}
{{- range $receiver, $secret := $secrets }}
- name: {{ $receiver }}
  # Without it the operator works, and says what is missing.
  secret: {secretName: {{ $secret | quote }}, optional: true}
{{- end }}
{{- if $isScaling }}
- name: external-metrics
  secret:
    secretName: {{ include "netprecursor.scalingSecret" $root | quote }}
    optional: true
    # The authority is for the APIService.
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- with $operator.nodeSelector }}
nodeSelector:
  {{- include "netprecursor.yaml" . | nindent 2 }}
{{- end }}
{{- with $operator.tolerations }}
tolerations:
  {{- include "netprecursor.yaml" . | nindent 2 }}
{{- end }}
{{- with $operator.affinity }}
affinity:
  {{- include "netprecursor.yaml" . | nindent 2 }}
{{- end }}
{{- if eq .command "run" }}
topologySpreadConstraints:
  {{- with $operator.topologySpreadConstraints }}
  {{- include "netprecursor.yaml" . | nindent 2 }}
  {{- else }}
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "netprecursor.operatorSelector" $root | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Not the Deployment's: its ReplicaSet, budget and Service have nothing to do with this pod. */}}
{{- define "netprecursor.retireSelector" -}}
app.kubernetes.io/name: netprecursor-retire
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}
