{{/*
At most 47 characters: with -uninstall-check a name is a Job's, which has 63. It is a Service's too: no dot, and a letter first.
*/}}
{{- define "tidegate.fullname" -}}
{{- $release := replace "." "-" .Release.Name -}}
{{- if regexMatch "^[0-9]" $release -}}
{{- printf "%s-%s" .Chart.Name $release | trunc 47 | trimAll "-" -}}
{{- else if contains .Chart.Name $release -}}
{{- $release | trunc 47 | trimAll "-" -}}
{{- else -}}
{{- printf "%s-%s" $release .Chart.Name | trunc 47 | trimAll "-" -}}
{{- end -}}
{{- end -}}

{{/*
What is the cluster's and the release's. Releases for one namespace each are told by the dot, which neither the name of a namespace nor
that of a release's objects has: with a hyphen `tidegate` in `team-a` and `a-tidegate` in `team` would be one.
*/}}
{{- define "tidegate.clusterName" -}}
{{- if .Values.watchNamespace }}{{ .Release.Namespace }}.{{ end }}{{ include "tidegate.fullname" . }}
{{- end -}}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "tidegate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount to use, or set serviceAccount.create to true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Pod security of the profile "restricted", for the controller and the hook. */}}
{{- define "tidegate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tidegate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where a pod may run, for the controller and the hook. */}}
{{- define "tidegate.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{/* Whether the release has the policy on RolloutActions, without which their rights are asked by nobody; else empty. */}}
{{- define "tidegate.actionsPolicy" -}}
{{- if and .Values.admission.enabled .Values.admission.actions -}}true{{- end -}}
{{- end -}}

{{/* The roles and the policies on actions are the cluster's. Where other releases may lean on them they stay when this one goes. */}}
{{- define "tidegate.staysForOthers" -}}
{{- if .Values.watchNamespace }}
  annotations:
    helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}
