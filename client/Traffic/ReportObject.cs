using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Client.Traffic;

/// <summary>The TrafficReport as the API sees it: each write is one small merge patch.</summary>
internal sealed class ReportObject(IApi api, string name, string role)
{
    private readonly ResourceKey _key = ResourceKey.Of(Kind.TrafficReport, "", name);
    private readonly ArrayBufferWriter<byte> _buffer = new(512);
    private bool _exists;

    /// <summary>Moves renewTime on, making the object where there is none. True when it was made or found by this call, so that its status is not ours yet.</summary>
    public async Task<bool> Renew(DateTimeOffset now, CancellationToken stop)
    {
        if (_exists && await Patched("", Spec(now, whole: false), stop)) return false;
        try
        {
            await api.Create(_key, Spec(now, whole: true), stop: stop);
        }
        catch (ApiException e) when (e.Status.Reason == Api.Objects.StatusReason.AlreadyExists)
        {
            // Left by an earlier run of this instance that did not stop in order.
            if (!await Patched("", Spec(now, whole: true), stop)) throw;
        }
        return _exists = true;
    }

    public async Task WriteStatus(long observedRevision, IReadOnlyList<DrainingPod> draining, CancellationToken stop)
    {
        if (!await Patched("status", Status(observedRevision, draining), stop)) throw Api.Objects.Status.NotFound(_key.Kind, _key.Name);
    }

    /// <summary>On an orderly stop; where it cannot be deleted its lease runs out.</summary>
    public async Task Delete(CancellationToken stop)
    {
        try
        {
            if (_exists) await api.Delete(_key, stop: stop);
        }
        catch (Exception e) when (IsOutage(e))
        {
            _exists = false;
        }
    }

    /// <summary>The API refuses, is away or does not answer: what an instance has to outlive.</summary>
    public static bool IsOutage(Exception e) => e is ApiException or HttpRequestException or IOException or OperationCanceledException;

    private async Task<bool> Patched(string subresource, ReadOnlyMemory<byte> patch, CancellationToken stop)
    {
        try
        {
            await api.Patch(_key, PatchKind.Merge, patch, new() { Subresource = subresource, FieldManager = role }, stop);
            return true;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return _exists = false;
        }
    }

    private ReadOnlyMemory<byte> Spec(DateTimeOffset now, bool whole)
    {
        // A server in this process may keep the bytes it is given: they are copied out of the buffer.
        _buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_buffer))
        {
            json.WriteStartObject();
            if (whole)
            {
                json.WriteString("apiVersion"u8, _key.Kind.ApiVersion);
                json.WriteString("kind"u8, _key.Kind.Name);
                json.WriteStartObject("metadata"u8);
                json.WriteString("name"u8, name);
                json.WriteEndObject();
            }
            json.WriteStartObject("spec"u8);
            if (whole)
            {
                json.WriteString("role"u8, role);
                json.WriteNumber("leaseDurationSeconds"u8, TrafficReporter.LeaseDurationSeconds);
            }
            json.WriteString("renewTime"u8, now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return _buffer.WrittenSpan.ToArray();
    }

    private ReadOnlyMemory<byte> Status(long observedRevision, IReadOnlyList<DrainingPod> draining)
    {
        _buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("status"u8);
            json.WriteNumber("observedRevision"u8, observedRevision);
            json.WriteStartArray("draining"u8);
            foreach (var pod in draining)
            {
                json.WriteStartObject();
                json.WriteString("podUID"u8, pod.PodUID);
                json.WriteString("address"u8, pod.Address);
                json.WriteNumber("inFlight"u8, pod.InFlight);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return _buffer.WrittenSpan.ToArray();
    }
}
