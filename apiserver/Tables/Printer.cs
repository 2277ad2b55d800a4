using System.Text.Json;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Tables;

/// <summary>How objects of a kind are shown as rows (the words and order that kubectl users know). A kind adds a row to the table below.</summary>
internal sealed class Printer
{
    private readonly Func<JsonElement, Cell[]> _cells;
    private readonly bool _named;
    private readonly Func<JsonElement, string> _name = static o => o.At("metadata").Text("name");

    /// <param name="named">The object's name is the first cell.</param>
    /// <param name="name">What stands there where that is more than the name.</param>
    private Printer(string columns, Func<JsonElement, Cell[]> cells, bool named = true, Func<JsonElement, string>? name = null)
    {
        (Columns, _cells, _named) = (Column.Parse(columns, named), cells, named);
        if (name is not null) _name = name;
    }

    /// <param name="columns">The name first.</param>
    public Printer(IReadOnlyList<Column> columns, Func<JsonElement, Cell[]> cells) => (Columns, _cells, _named) = (columns, cells, true);

    public IReadOnlyList<Column> Columns { get; }

    public static Printer NameAndAge { get; } = new("Age", o => [o.Created()]);
    private static readonly Printer NameAndCreation = new("Created At", ClusterRows.CreatedAt);
    private static readonly Printer OfScale = new(WorkloadRows.ScaleColumns, WorkloadRows.Scale);

    private static readonly Dictionary<(string Group, string Plural), Printer> Table = new()
    {
        [("", "pods")] = new(PodRows.Columns, PodRows.Print),
        [("apps", "deployments")] = new(WorkloadRows.DeploymentColumns, WorkloadRows.Deployment),
        [("apps", "replicasets")] = new(WorkloadRows.ReplicaSetColumns, WorkloadRows.ReplicaSet),
        [("", "replicationcontrollers")] = new(WorkloadRows.ReplicaSetColumns, WorkloadRows.ReplicaSet),
        [("apps", "statefulsets")] = new(WorkloadRows.StatefulSetColumns, WorkloadRows.StatefulSet),
        [("apps", "daemonsets")] = new(WorkloadRows.DaemonSetColumns, WorkloadRows.DaemonSet),
        [("apps", "controllerrevisions")] = new(WorkloadRows.RevisionColumns, WorkloadRows.Revision),
        [("batch", "jobs")] = new(WorkloadRows.JobColumns, WorkloadRows.Job),
        [("batch", "cronjobs")] = new(WorkloadRows.CronJobColumns, WorkloadRows.CronJob),
        [("autoscaling", "horizontalpodautoscalers")] = new(WorkloadRows.AutoscalerColumns, WorkloadRows.Autoscaler),
        [("", "services")] = new(NetworkRows.ServiceColumns, NetworkRows.Service),
        [("", "endpoints")] = new(NetworkRows.EndpointsColumns, NetworkRows.Endpoints),
        [("discovery.k8s.io", "endpointslices")] = new(NetworkRows.SliceColumns, NetworkRows.Slice),
        [("networking.k8s.io", "ingresses")] = new(NetworkRows.IngressColumns, NetworkRows.Ingress),
        [("networking.k8s.io", "ingressclasses")] = new(NetworkRows.IngressClassColumns, NetworkRows.IngressClass),
        [("networking.k8s.io", "networkpolicies")] = new(NetworkRows.PolicyColumns, NetworkRows.Policy),
        [("declarative.mesos", "trafficreports")] = new(NetworkRows.TrafficColumns, NetworkRows.Traffic),
        [("", "configmaps")] = new("Data|Age", ClusterRows.ConfigMap),
        [("", "secrets")] = new("Type|Data|Age", ClusterRows.Secret),
        [("", "serviceaccounts")] = new("Secrets|Age", ClusterRows.ServiceAccount),
        [("", "namespaces")] = new("Status|Age", ClusterRows.Namespace),
        [("", "nodes")] = new(ClusterRows.NodeColumns, ClusterRows.Node),
        [("", "events")] = new(ClusterRows.EventColumns, ClusterRows.Event, named: false),
        [("events.k8s.io", "events")] = new(ClusterRows.EventColumns, ClusterRows.Event, named: false),
        [("coordination.k8s.io", "leases")] = new("Holder|Age", ClusterRows.Lease),
        [("", "persistentvolumes")] = new(ClusterRows.VolumeColumns, ClusterRows.Volume),
        [("", "persistentvolumeclaims")] = new(ClusterRows.ClaimColumns, ClusterRows.Claim),
        [("", "resourcequotas")] = new(ClusterRows.QuotaColumns, ClusterRows.Quota),
        [("", "limitranges")] = NameAndCreation,
        [("storage.k8s.io", "storageclasses")] = new(ClusterRows.StorageClassColumns, ClusterRows.StorageClass, name: ClusterRows.StorageClassName),
        [("scheduling.k8s.io", "priorityclasses")] = new(ClusterRows.PriorityColumns, ClusterRows.Priority),
        [("policy", "poddisruptionbudgets")] = new(ClusterRows.BudgetColumns, ClusterRows.Budget),
        [("rbac.authorization.k8s.io", "roles")] = NameAndCreation,
        [("rbac.authorization.k8s.io", "clusterroles")] = NameAndCreation,
        [("rbac.authorization.k8s.io", "rolebindings")] = new(ClusterRows.BindingColumns, ClusterRows.Binding),
        [("rbac.authorization.k8s.io", "clusterrolebindings")] = new(ClusterRows.BindingColumns, ClusterRows.Binding),
        [("apiextensions.k8s.io", "customresourcedefinitions")] = NameAndCreation,
        [("admissionregistration.k8s.io", "validatingwebhookconfigurations")] = new("#Webhooks|Age", ClusterRows.Webhooks),
        [("admissionregistration.k8s.io", "mutatingwebhookconfigurations")] = new("#Webhooks|Age", ClusterRows.Webhooks),
        [("admissionregistration.k8s.io", "validatingadmissionpolicies")] = new(StoredRows.AdmissionPolicyColumns, StoredRows.AdmissionPolicy),
        [("admissionregistration.k8s.io", "validatingadmissionpolicybindings")] = new(StoredRows.AdmissionBindingColumns, StoredRows.AdmissionBinding),
        [("certificates.k8s.io", "certificatesigningrequests")] = new(StoredRows.SigningColumns, StoredRows.Signing),
        [("", "podtemplates")] = new(StoredRows.TemplateColumns, StoredRows.Template),
        [("", "componentstatuses")] = new(StoredRows.ComponentColumns, StoredRows.Component),
        [("apiregistration.k8s.io", "apiservices")] = new(StoredRows.ServedGroupColumns, StoredRows.ServedGroup),
        [("node.k8s.io", "runtimeclasses")] = new("Handler|Age", StoredRows.Runtime),
        [("storage.k8s.io", "csidrivers")] = new(StoredRows.DriverColumns, StoredRows.Driver),
        [("storage.k8s.io", "csinodes")] = new("#Drivers|Age", StoredRows.DriversOfNode),
        [("storage.k8s.io", "volumeattachments")] = new(StoredRows.AttachmentColumns, StoredRows.Attachment),
        [("storage.k8s.io", "csistoragecapacities")] = new(StoredRows.CapacityColumns, StoredRows.Capacity),
        [("storage.k8s.io", "volumeattributesclasses")] = new("DriverName|Age", StoredRows.VolumeAttributes, name: StoredRows.VolumeAttributesName),
        [("networking.k8s.io", "ipaddresses")] = new("ParentRef", StoredRows.Address),
        [("networking.k8s.io", "servicecidrs")] = new("CIDRs|Age", StoredRows.Range),
        [("metrics.k8s.io", "pods")] = new(UsageRows.Columns, UsageRows.Pod),
        [("metrics.k8s.io", "nodes")] = new(UsageRows.Columns, UsageRows.Node),
        [("flowcontrol.apiserver.k8s.io", "flowschemas")] = new(StoredRows.FlowColumns, StoredRows.Flow),
        [("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations")] = new(StoredRows.LevelColumns, StoredRows.Level),
    };

    public static Printer Of(Kind kind, string subresource) =>
        subresource == "scale" ? OfScale : kind is CustomResources.CustomKind custom ? custom.Printer : Table.GetValueOrDefault((kind.Group, kind.Plural), NameAndAge);

    /// <summary>The columns as JSON (meta.k8s.io/v1 TableColumnDefinition).</summary>
    public byte[] Definitions => field ??= JsonSerializer.SerializeToUtf8Bytes(Columns.Select(x => new { name = x.Name, type = x.Type, format = x.Format, description = "", priority = x.Priority }));

    public IEnumerable<Cell> Cells(JsonElement o) => _named ? [_name(o), .. _cells(o)] : _cells(o);
}
