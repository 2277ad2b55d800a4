using Declarative.Api;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// The roles that Kubernetes 1.33 makes for its own components (doc "Using RBAC Authorization", default roles and role bindings): software that is
/// deployed here binds to them by name. Nothing of this platform uses them; its parts have roles of their own.
/// </summary>
/// <remarks>
/// A line that begins at its margin is a role: its name and, after "&lt;-", who is bound to it: <c>user:NAME</c>, <c>group:NAME</c>, or <c>sa:NAME</c> in
/// kube-system. Each line below it is a rule: groups ("core" is ""), resources, verbs ("read" is get, list and watch), and names. A name that begins
/// with <c>kube-system/</c> or <c>kube-public/</c> is a Role there. <c>controller NAME</c> stands for <c>system:controller:NAME</c>. Nobody is bound to
/// the roles of controllers: none of them runs here, and who may make tokens in kube-system would have the rights of all of them.
/// </remarks>
internal static class KubernetesRoles
{
    private const string Table = """
        system:node
          authentication.k8s.io tokenreviews create
          authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews create
          core services,pods,configmaps,secrets read
          core nodes create,read,patch,update
          core nodes/status,pods/status patch,update
          core events create,patch,update
          core pods create,delete
          core pods/eviction,serviceaccounts/token create
          core persistentvolumeclaims,persistentvolumes,endpoints get
          core persistentvolumeclaims/status get,patch,update
          certificates.k8s.io certificatesigningrequests create,read
          coordination.k8s.io leases create,delete,get,patch,update
          storage.k8s.io volumeattachments get
          storage.k8s.io csidrivers read
          storage.k8s.io csinodes create,delete,get,patch,update
          node.k8s.io runtimeclasses read
        system:node-proxier <- user:system:kube-proxy
          core endpoints,services list,watch
          core nodes read
          core,events.k8s.io events create,patch,update
          discovery.k8s.io endpointslices list,watch
        system:node-bootstrapper
          certificates.k8s.io certificatesigningrequests create,read
        system:node-problem-detector
          core nodes get
          core nodes/status patch
          core,events.k8s.io events create,patch,update
        system:kubelet-api-admin
          core nodes read,proxy
          core nodes/log,nodes/metrics,nodes/proxy,nodes/stats *
        system:heapster
          core events,namespaces,nodes,pods read
          extensions deployments read
        system:kube-aggregator
          core endpoints,services read
        system:kube-dns <- sa:kube-dns
          core endpoints,services list,watch
        system:persistent-volume-provisioner
          core persistentvolumes create,delete,read
          core persistentvolumeclaims read,update
          storage.k8s.io storageclasses read
          core events watch
          core,events.k8s.io events create,patch,update
        system:volume-scheduler <- user:system:kube-scheduler
          core persistentvolumes,persistentvolumeclaims read,patch,update
          storage.k8s.io storageclasses read
        system:kube-controller-manager <- user:system:kube-controller-manager
          core,events.k8s.io events create,patch,update
          coordination.k8s.io leases create
          coordination.k8s.io leases get,update kube-controller-manager
          core secrets,serviceaccounts create,update
          core secrets delete
          core configmaps,namespaces,secrets,serviceaccounts get
          core serviceaccounts/token create
          authentication.k8s.io tokenreviews create
          authorization.k8s.io subjectaccessreviews create
          * * list,watch
        system:kube-scheduler <- user:system:kube-scheduler
          core,events.k8s.io events create,patch,update
          coordination.k8s.io leases create
          coordination.k8s.io leases get,update kube-scheduler
          core nodes,replicationcontrollers,services,persistentvolumeclaims,persistentvolumes,namespaces read
          core pods delete,read
          core bindings,pods/binding create
          core pods/status patch,update
          apps,extensions replicasets read
          apps statefulsets read
          policy poddisruptionbudgets read
          authentication.k8s.io tokenreviews create
          authorization.k8s.io subjectaccessreviews create
          storage.k8s.io csinodes,csidrivers,csistoragecapacities read
        system:certificates.k8s.io:certificatesigningrequests:nodeclient
          certificates.k8s.io certificatesigningrequests/nodeclient create
        system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
          certificates.k8s.io certificatesigningrequests/selfnodeclient create
        system:certificates.k8s.io:kube-apiserver-client-approver
          certificates.k8s.io signers approve kubernetes.io/kube-apiserver-client
        system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
          certificates.k8s.io signers approve kubernetes.io/kube-apiserver-client-kubelet
        system:certificates.k8s.io:kubelet-serving-approver
          certificates.k8s.io signers approve kubernetes.io/kubelet-serving
        system:certificates.k8s.io:legacy-unknown-approver
          certificates.k8s.io signers approve kubernetes.io/legacy-unknown
        controller attachdetach-controller
          core persistentvolumes,persistentvolumeclaims,pods list,watch
          core nodes read
          core nodes/status patch,update
          storage.k8s.io volumeattachments create,delete,read
          storage.k8s.io csidrivers,csinodes read
          core,events.k8s.io events create,patch,update
        controller clusterrole-aggregation-controller
          rbac.authorization.k8s.io clusterroles escalate,patch,read,update
        controller cronjob-controller
          batch cronjobs read,update
          batch jobs create,delete,patch,read,update
          batch cronjobs/status,cronjobs/finalizers update
          core pods delete,list,watch
          core,events.k8s.io events create,patch,update
        controller daemon-set-controller
          apps,extensions daemonsets read
          apps,extensions daemonsets/status,daemonsets/finalizers update
          core nodes list,watch
          core pods create,delete,list,patch,watch
          core pods/binding create
          apps controllerrevisions create,delete,patch,read,update
          core,events.k8s.io events create,patch,update
        controller deployment-controller
          apps,extensions deployments read,update
          apps,extensions deployments/status,deployments/finalizers update
          apps,extensions replicasets create,delete,patch,read,update
          core pods read,update
          core,events.k8s.io events create,patch,update
        controller disruption-controller
          apps,extensions deployments,replicasets read
          apps statefulsets read
          core replicationcontrollers read
          policy poddisruptionbudgets read
          policy poddisruptionbudgets/status update
          core pods/status patch,update
          * */scale get
          core,events.k8s.io events create,patch,update
        controller endpoint-controller
          core services,pods read
          core endpoints create,delete,read,update
          core endpoints/restricted create
          core,events.k8s.io events create,patch,update
        controller endpointslice-controller
          core services,pods,nodes read
          core services/finalizers update
          discovery.k8s.io endpointslices create,delete,read,update
          core,events.k8s.io events create,patch,update
        controller endpointslicemirroring-controller
          core services,endpoints read
          core services/finalizers,endpoints/finalizers update
          discovery.k8s.io endpointslices create,delete,read,update
          core,events.k8s.io events create,patch,update
        controller expand-controller
          core persistentvolumes patch,read,update
          core persistentvolumeclaims/status patch,update
          core persistentvolumeclaims read
          core services get
          core,events.k8s.io events create,patch,update
        controller ephemeral-volume-controller
          core pods read
          core pods/finalizers update
          core persistentvolumeclaims create,read
          core,events.k8s.io events create,patch,update
        controller generic-garbage-collector
          * * delete,patch,read,update
          core,events.k8s.io events create,patch,update
        controller horizontal-pod-autoscaler
          autoscaling horizontalpodautoscalers read
          autoscaling horizontalpodautoscalers/status update
          * */scale get,update
          core,metrics.k8s.io pods list,watch
          custom.metrics.k8s.io,external.metrics.k8s.io * read
          core,events.k8s.io events create,patch,update
        controller job-controller
          batch jobs patch,read,update
          batch jobs/status,jobs/finalizers update
          core pods create,delete,list,patch,watch
          core,events.k8s.io events create,patch,update
        controller legacy-service-account-token-cleaner
          core configmaps get kube-apiserver-legacy-service-account-token-tracking
          core secrets delete,patch
        controller namespace-controller
          core namespaces delete,read
          core namespaces/finalize,namespaces/status update
          * * delete,deletecollection,read
        controller node-controller
          core nodes delete,patch,read,update
          core nodes/status,pods/status patch,update
          core pods delete,read
          core,events.k8s.io events create,patch,update
        controller persistent-volume-binder
          core persistentvolumes create,delete,read,update
          core persistentvolumes/status,persistentvolumeclaims/status update
          core persistentvolumeclaims read,update
          core pods create,delete,read
          storage.k8s.io storageclasses read
          core nodes list,watch
          core events watch
          core services get
          core,events.k8s.io events create,patch,update
        controller pod-garbage-collector
          core pods delete,list,watch
          core nodes read
          core pods/status patch
        controller replicaset-controller
          apps,extensions replicasets read,update
          apps,extensions replicasets/status,replicasets/finalizers update
          core pods create,delete,list,patch,watch
          core,events.k8s.io events create,patch,update
        controller replication-controller
          core replicationcontrollers read,update
          core replicationcontrollers/status,replicationcontrollers/finalizers update
          core pods create,delete,list,patch,watch
          core,events.k8s.io events create,patch,update
        controller resourcequota-controller
          * * list,watch
          core resourcequotas/status update
          core,events.k8s.io events create,patch,update
        controller root-ca-cert-publisher
          core configmaps create,update
          core,events.k8s.io events create,patch,update
        controller route-controller
          core nodes list,watch
          core nodes/status patch
          core,events.k8s.io events create,patch,update
        controller selinux-warning-controller
          core persistentvolumes,persistentvolumeclaims,pods read
          storage.k8s.io csidrivers read
          core,events.k8s.io events create,patch,update
        controller service-account-controller
          core serviceaccounts create
          core,events.k8s.io events create,patch,update
        controller service-cidrs-controller
          networking.k8s.io servicecidrs patch,read,update
          networking.k8s.io servicecidrs/finalizers,servicecidrs/status patch,update
          networking.k8s.io ipaddresses read
          core,events.k8s.io events create,patch,update
        controller service-controller
          core services read
          core services/status patch,update
          core nodes list,watch
          core,events.k8s.io events create,patch,update
        controller statefulset-controller
          core pods create,delete,patch,read,update
          apps statefulsets read
          apps statefulsets/status,statefulsets/finalizers update
          apps controllerrevisions create,delete,patch,read,update
          core persistentvolumeclaims create,delete,read,update
          core pods/finalizers update
          core,events.k8s.io events create,patch,update
        controller ttl-after-finished-controller
          batch jobs delete,read
          core,events.k8s.io events create,patch,update
        controller ttl-controller
          core nodes list,patch,update,watch
          core,events.k8s.io events create,patch,update
        controller certificate-controller
          certificates.k8s.io certificatesigningrequests delete,read
          certificates.k8s.io certificatesigningrequests/status,certificatesigningrequests/approval update
          certificates.k8s.io signers approve kubernetes.io/kube-apiserver-client-kubelet
          certificates.k8s.io signers sign kubernetes.io/legacy-unknown,kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving
          authorization.k8s.io subjectaccessreviews create
          core,events.k8s.io events create,patch,update
        controller pvc-protection-controller
          core persistentvolumeclaims read,update
          core pods read
          core,events.k8s.io events create,patch,update
        controller pv-protection-controller
          core persistentvolumes read,update
          core,events.k8s.io events create,patch,update
        controller validatingadmissionpolicy-status-controller
          admissionregistration.k8s.io validatingadmissionpolicies read
          admissionregistration.k8s.io validatingadmissionpolicies/status get,patch,update
          core,events.k8s.io events create,patch,update
        kube-system/extension-apiserver-authentication-reader <- user:system:kube-controller-manager user:system:kube-scheduler
          core configmaps read extension-apiserver-authentication
        kube-system/system:controller:bootstrap-signer
          core secrets read
        kube-system/system:controller:cloud-provider
          core configmaps create,read
        kube-system/system:controller:token-cleaner
          core secrets delete,read
          core,events.k8s.io events create,patch,update
        kube-system/system::leader-locking-kube-controller-manager <- user:system:kube-controller-manager sa:kube-controller-manager
          core configmaps watch
          core configmaps get,update kube-controller-manager
        kube-system/system::leader-locking-kube-scheduler <- user:system:kube-scheduler sa:kube-scheduler
          core configmaps watch
          core configmaps get,update kube-scheduler
        kube-public/system:controller:bootstrap-signer
          core configmaps read
          core configmaps update cluster-info
          core,events.k8s.io events create,patch,update
        """;

    /// <summary>One role of the table with those that are bound to it.</summary>
    /// <param name="Namespace">"" for a ClusterRole.</param>
    /// <param name="Subjects">As in the table; empty where nobody is bound.</param>
    internal sealed record Row(string Namespace, string Name, IReadOnlyList<string> Subjects, IReadOnlyList<Rule> Rules)
    {
        /// <summary>Kubernetes names one binding otherwise than its role.</summary>
        public string BindingName => Name == "extension-apiserver-authentication-reader" ? "system::" + Name : Name;
    }

    public static IEnumerable<Row> Rows()
    {
        string? head = null;
        var rules = new List<Rule>();
        foreach (var line in Table.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == ' ')
            {
                rules.Add(ReadRule(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
                continue;
            }
            if (head is not null) yield return ReadRow(head, [.. rules]);
            (head, rules) = (line, []);
        }
        yield return ReadRow(head!, rules);
    }

    private static Row ReadRow(string head, IReadOnlyList<Rule> rules)
    {
        if (head.StartsWith("controller ", StringComparison.Ordinal)) return new("", "system:controller:" + head[11..], [], rules);
        var parts = head.Split(" <- ");
        var slash = parts[0].IndexOf('/', StringComparison.Ordinal);
        var (ns, name) = slash < 0 ? ("", parts[0]) : (parts[0][..slash], parts[0][(slash + 1)..]);
        return new(ns, name, parts.Length == 1 ? [] : parts[1].Split(' '), rules);
    }

    private static Rule ReadRule(string[] words) =>
        new([.. words[2].Split(',').SelectMany(x => x == "read" ? ["get", "list", "watch"] : (string[])[x])], [.. words[0].Split(',').Select(x => x == "core" ? "" : x)], words[1].Split(','), words.Length > 3 ? words[3].Split(',') : [], []);
}
