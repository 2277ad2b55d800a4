using Declarative.Api.Schema;

namespace Declarative.ApiServer.Protobuf;

/// <summary>
/// Clients write 0, false and "" for optional fields that were never set, because their Go structs hold plain values there; where the
/// struct holds a pointer, a zero on the wire was meant. Which is which is no part of the table, so the pointers are named here.
/// Without this a protobuf body would set timeoutSeconds to 0, or lose replicas: 0.
/// </summary>
internal static class ExplicitZeros
{
    // The same in every type that has a field of that name.
    private static readonly HashSet<string> Everywhere =
    [
        "optional", "immutable", "automountServiceAccountToken", "controller", "blockOwnerDeletion", "runAsNonRoot", "runAsUser", "runAsGroup",
        "fsGroup", "defaultMode", "mode", "suspend", "revisionHistoryLimit", "progressDeadlineSeconds", "terminationGracePeriodSeconds",
        "activeDeadlineSeconds", "tolerationSeconds", "collisionCount", "expirationSeconds", "deletionGracePeriodSeconds",
        "gracePeriodSeconds", "orphanDependents", "minDomains", "started", "remainingItemCount", "terminatingReplicas",
        "maxExpirationSeconds", "averageUtilization", "currentAverageUtilization", "targetAverageUtilization", "lendablePercent",
        "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage", "stabilizationWindowSeconds", "minReplicas",
        "storageClassName", "volumeAttributesClassName", "user", "exitCode", "endPort", "errorCode", "nominalConcurrencyShares",
    ];

    private static readonly HashSet<string> Named =
    [
        "apps.v1.DeploymentSpec.replicas", "apps.v1.ReplicaSetSpec.replicas", "apps.v1.StatefulSetSpec.replicas",
        "apps.v1.RollingUpdateStatefulSetStrategy.partition", "core.v1.ReplicationControllerSpec.replicas",
        "core.v1.ReplicationControllerSpec.minReadySeconds", "autoscaling.v1.ScaleSpec.replicas",
        "batch.v1.JobSpec.parallelism", "batch.v1.JobSpec.completions", "batch.v1.JobSpec.backoffLimit",
        "batch.v1.JobSpec.backoffLimitPerIndex", "batch.v1.JobSpec.maxFailedIndexes", "batch.v1.JobSpec.manualSelector",
        "batch.v1.JobSpec.ttlSecondsAfterFinished", "batch.v1.JobStatus.ready", "batch.v1.JobStatus.terminating",
        "batch.v1.SuccessPolicyRule.succeededCount", "batch.v1.CronJobSpec.startingDeadlineSeconds",
        "batch.v1.CronJobSpec.successfulJobsHistoryLimit", "batch.v1.CronJobSpec.failedJobsHistoryLimit",
        "core.v1.AzureDiskVolumeSource.readOnly", "core.v1.CSIVolumeSource.readOnly", "core.v1.ClientIPConfig.timeoutSeconds",
        "core.v1.EnvVar.value", "core.v1.FCVolumeSource.lun", "core.v1.NodeFeatures.supplementalGroupsPolicy",
        "core.v1.NodeRuntimeHandlerFeatures.recursiveReadOnlyMounts", "core.v1.NodeRuntimeHandlerFeatures.userNamespaces",
        "core.v1.PodSpec.shareProcessNamespace", "core.v1.PodSpec.enableServiceLinks", "core.v1.PodSpec.setHostnameAsFQDN",
        "core.v1.PodSpec.hostUsers", "core.v1.PodSpec.priority", "core.v1.SecurityContext.privileged",
        "core.v1.SecurityContext.readOnlyRootFilesystem", "core.v1.SecurityContext.allowPrivilegeEscalation",
        "core.v1.ServiceSpec.allocateLoadBalancerNodePorts", "core.v1.WindowsSecurityContextOptions.hostProcess",
        "coordination.v1.LeaseSpec.leaseDurationSeconds", "coordination.v1.LeaseSpec.leaseTransitions", "coordination.v1.LeaseSpec.holderIdentity",
        "discovery.v1.EndpointConditions.ready", "discovery.v1.EndpointConditions.serving", "discovery.v1.EndpointConditions.terminating",
        "discovery.v1.EndpointPort.name", "discovery.v1.EndpointPort.port", "core.v1.PodLogOptions.tailLines",
        "flowcontrol.v1.LimitedPriorityLevelConfiguration.borrowingLimitPercent", "resource.v1.DeviceAttribute.bool", "resource.v1.DeviceAttribute.int",
        "storage.v1.CSIDriverSpec.attachRequired", "storage.v1.CSIDriverSpec.podInfoOnMount", "storage.v1.CSIDriverSpec.storageCapacity",
        "storage.v1.CSIDriverSpec.requiresRepublish", "storage.v1.CSIDriverSpec.seLinuxMount", "storage.v1.StorageClass.allowVolumeExpansion",
        "apiextensions.v1.JSONSchemaProps.maximum", "apiextensions.v1.JSONSchemaProps.minimum", "apiextensions.v1.JSONSchemaProps.maxLength",
        "apiextensions.v1.JSONSchemaProps.minLength", "apiextensions.v1.JSONSchemaProps.maxItems", "apiextensions.v1.JSONSchemaProps.minItems",
        "apiextensions.v1.JSONSchemaProps.maxProperties", "apiextensions.v1.JSONSchemaProps.minProperties",
        "apiextensions.v1.JSONSchemaProps.x-kubernetes-preserve-unknown-fields",
    ];

    /// <summary>A zero of this field is to be kept.</summary>
    public static bool Keeps(SchemaType type, SchemaField field) =>
        // The one IntOrString that is no pointer and may be left out.
        field.Type.Shape == Shape.IntOrString ? field.Name != "targetPort"
        : field.Required || Everywhere.Contains(field.Name) || Named.Contains($"{type.Name}.{field.Name}");
}
