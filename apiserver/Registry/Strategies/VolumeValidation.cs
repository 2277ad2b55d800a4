using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>The volumes of a pod and where containers mount them (Kubernetes: ValidateVolumes, ValidateVolumeMounts, ValidateVolumeDevices).</summary>
internal static class VolumeValidation
{
    /// <summary>In the order in which Kubernetes reads them: the first one that is there is the volume's type, a second one is too many.</summary>
    private static readonly string[] Types =
    [
        "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs", "flocker", "persistentVolumeClaim",
        "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc", "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
        "azureDisk", "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
    ];

    private static readonly string[] HostPathTypes = ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    private static readonly string[] Projections = ["clusterTrustBundle", "configMap", "downwardAPI", "secret", "serviceAccountToken"];

    /// <summary>What a volume of this type must say.</summary>
    private static readonly (string Type, string Member)[] Needed =
    [
        ("hostPath", "path"), ("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName"), ("nfs", "server"), ("nfs", "path"),
        ("csi", "driver"), ("ephemeral", "volumeClaimTemplate"), ("gitRepo", "repository"), ("iscsi", "targetPortal"), ("iscsi", "iqn"),
    ];

    /// <summary>Checks the volumes and returns the names that containers may mount.</summary>
    /// <param name="claims">Names of a StatefulSet's claim templates: volumes that its pods get.</param>
    public static HashSet<string> Volumes(Part spec, IEnumerable<string> claims)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var volume in spec.Items("volumes"))
        {
            if (volume.OnlyOne("may not specify more than 1 volume type", Types) == 0) volume.Causes.Add(Metadata.Required(volume.Path, "must specify a volume type"));
            Source(volume);
            if (!volume.Needs("name")) continue;
            volume.Form("name", Names.LabelError);
            if (!names.Add(volume.Text("name"))) volume.Causes.Add(Rules.Duplicate(volume.At("name"), volume.Text("name")));
        }
        names.UnionWith(claims);
        return names;
    }

    public static void Mounts(Part container, HashSet<string> volumes)
    {
        var paths = new HashSet<string>(StringComparer.Ordinal);
        foreach (var mount in container.Items("volumeMounts"))
        {
            Known(mount, volumes);
            if (mount.Needs("mountPath") && !paths.Add(mount.Text("mountPath"))) mount.Invalid("mountPath", "must be unique");
            mount.Form("subPath", Forms.RelativePathError);
            mount.Form("subPathExpr", Forms.RelativePathError);
            if (mount.Text("subPath").Length > 0 && mount.Text("subPathExpr").Length > 0) mount.Invalid("subPathExpr", "subPathExpr and subPath are mutually exclusive");
            mount.OneOf("mountPropagation", "Bidirectional", "HostToContainer", "None");
        }
        var devices = new HashSet<string>(StringComparer.Ordinal);
        foreach (var device in container.Items("volumeDevices"))
        {
            Known(device, volumes);
            if (!device.Needs("devicePath")) continue;
            if (!devices.Add(device.Text("devicePath"))) device.Invalid("devicePath", "must be unique");
            if (paths.Contains(device.Text("devicePath"))) device.Invalid("devicePath", "must not already exist as a path in volumeMounts");
            if (Forms.BackstepError(device.Text("devicePath")) is not null) device.Invalid("devicePath", "can not contain backsteps ('..')");
        }
    }

    private static void Known(Part mount, HashSet<string> volumes)
    {
        if (!mount.Needs("name") || volumes.Contains(mount.Text("name"))) return;
        var nearest = Names.Nearest(mount.Text("name"), volumes.Order(StringComparer.Ordinal)) is { } near ? $": did you mean \"{near}\"?" : "";
        mount.Causes.Add(new("FieldValueNotFound", $"Not found: \"{mount.Text("name")}\"{nearest}", mount.At("name")));
    }

    private static void Source(Part volume)
    {
        foreach (var (type, member) in Needed)
        {
            if (volume.Child(type) is { } source) source.Needs(member);
        }
        foreach (var type in (ReadOnlySpan<string>)["secret", "configMap", "downwardAPI", "projected"])
        {
            if (volume.Child(type) is { } source) Files(source, type);
        }
        if (volume.Child("hostPath") is { } host)
        {
            host.Form("path", Forms.BackstepError);
            host.OneOf("type", HostPathTypes);
        }
        if (volume.Child("nfs") is { } nfs && nfs.Text("path").Length > 0 && !nfs.Text("path").StartsWith('/')) nfs.Invalid("path", "must be an absolute path");
        if (volume.Child("emptyDir") is { } directory && Quantity.TryParse(Rules.Text(directory.Json["sizeLimit"]), out var size) && size < Quantity.Zero)
        {
            directory.Forbidden("sizeLimit", "SizeLimit field must be a valid resource quantity");
        }
        if (volume.Child("projected") is not { } projected) return;
        foreach (var source in projected.Items("sources"))
        {
            if (source.OnlyOne("may not specify more than 1 volume type", Projections) == 0) source.Causes.Add(Metadata.Required(source.Path, "must specify a volume type"));
            foreach (var type in (ReadOnlySpan<string>)["secret", "configMap", "downwardAPI"])
            {
                if (source.Child(type) is not { } part) continue;
                if (type != "downwardAPI") part.Needs("name");
                Files(part, type);
            }
            if (source.Child("serviceAccountToken") is not { } token) continue;
            if (token.Number("expirationSeconds") is < 600) token.Invalid("expirationSeconds", "may not specify a duration less than 10 minutes");
            if (token.Needs("path")) token.Form("path", Forms.RelativePathError);
        }
    }

    /// <summary>The files of a volume that is made of keys or fields.</summary>
    private static void Files(Part source, string type)
    {
        Mode(source, "defaultMode");
        foreach (var item in source.Items("items"))
        {
            Mode(item, "mode");
            if (item.Needs("path")) item.Form("path", Forms.RelativePathError);
            if (type != "downwardAPI") item.Needs("key");
            else EnvValidation.DownwardFile(item);
        }
    }

    private static void Mode(Part part, string name)
    {
        if (part.Number(name) is < 0 or > 511) part.Invalid(name, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}
