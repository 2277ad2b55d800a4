using System.Buffers;
using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using DataType = Declarative.Mesos.Protocol.AgentApi.ProcessIO.Types.Data.Types.Type;

namespace Declarative.Mesos.AgentClient;

/// <summary>What a container says, as it says it. Disposing it ends the connection, and with it the process of an exec session.</summary>
public sealed class ContainerOutput : IAsyncDisposable
{
    private readonly HttpResponseMessage response;
    private readonly RecordReader records;
    private readonly Uri agent;

    internal ContainerOutput(Uri agent, HttpResponseMessage response, Stream body)
    {
        this.agent = agent;
        this.response = response;
        records = new RecordReader(body, Limits.ProcessIoBytesMax);
    }

    /// <summary>Pieces of stdout and stderr in order; ends with the process. A terminal has stdout only.</summary>
    /// <exception cref="AgentUnavailable">The agent is lost, or what it sends is no RecordIO of ProcessIO.</exception>
    public async IAsyncEnumerable<(bool IsError, ReadOnlyMemory<byte> Data)> Read([EnumeratorCancellation] CancellationToken stop)
    {
        while (await Next(stop) is { } io)
        {
            if (io is { Type: ProcessIO.Types.Type.Data, Data: { Data_.Length: > 0, Type: DataType.Stdout or DataType.Stderr } data })
                yield return (data.Type == DataType.Stderr, data.Data_.Memory);
        }
    }

    public async ValueTask DisposeAsync()
    {
        response.Dispose();
        await records.DisposeAsync();
    }

    private async Task<ProcessIO?> Next(CancellationToken stop)
    {
        try
        {
            return await records.Read(stop) is { } record ? ProcessIO.Parser.ParseFrom(record) : null;
        }
        catch (Exception lost) when (lost is HttpRequestException or IOException or InvalidDataException or Google.Protobuf.InvalidProtocolBufferException)
        {
            throw new AgentUnavailable(agent, lost);
        }
    }
}
