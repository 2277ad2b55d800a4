using Declarative.Mesos.Protocol.MasterApi;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Microsoft.Extensions.Logging;
using EventType = Declarative.Mesos.Protocol.MasterApi.Event.Types.Type;
using Task = System.Threading.Tasks.Task;

namespace Declarative.Dns.MesosState;

/// <summary>
/// Follows the leading master by its event stream; where that is refused, by its whole state at intervals. What was known stays while no
/// master answers.
/// </summary>
internal sealed class MesosWatch : IAsyncDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);

    private readonly MesosOptions _options;
    private readonly DnsZones _zones;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly HttpOperator _operator;
    private readonly MasterClient _client;
    private readonly HostTable _hosts;
    private readonly MasterDetector _masters;
    private MesosEndpoint? _leader;

    /// <exception cref="FormatException">The masters are not named in any known form.</exception>
    /// <exception cref="IOException">A file that the options name cannot be read.</exception>
    public MesosWatch(MesosOptions options, DnsZones zones, TimeProvider time, Random random, ILogger logger)
    {
        (_options, _zones, _time, _random, _logger) = (options, zones, time, random, logger);
        _hosts = zones.Hosts(time);
        _masters = MasterDetector.Of(options.Masters, options.Https, time);
        _operator = new HttpOperator(new HttpMasterOptions { Masters = _masters, CallTimeout = options.Timeout, Access = options.Access }, time);
        _client = new MasterClient(options, _masters);
    }

    public Task Run(CancellationToken stop) => Task.WhenAll(Follow(stop), FollowMasters(stop));

    private async Task Follow(CancellationToken stop)
    {
        var retry = FirstRetry;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var lived = false;
                try
                {
                    await foreach (var change in _operator.Watch(stop))
                    {
                        await Apply(change, stop);
                        lived = true;
                    }
                }
                catch (MasterUnavailable lost)
                {
                    Log.StreamLost(_logger, lost.Message);
                }
                retry = lived ? FirstRetry : retry * 2 < _options.Refresh ? retry * 2 : _options.Refresh;
                if (!lived && await Poll(stop))
                    retry = _options.Refresh;
                await Task.Delay(retry * (0.75 + _random.NextDouble() / 2), _time, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _operator.Dispose();
        _client.Dispose();
        await _masters.DisposeAsync();
    }

    /// <summary>Masters that stand by come and go without the leading one telling of it.</summary>
    private async Task FollowMasters(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                var known = _masters.Known;
                await _masters.Changed(known, stop);
                await _hosts.Learn(_masters.Known.Select(m => m.Host), stop);
                if (_leader is not null)
                    _zones.Rename(feed => feed.Masters(_leader, Listed));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return; // the server is stopping
        }
    }

    private IReadOnlyList<MesosEndpoint> Listed => [.. _masters.Known.Select(m => new MesosEndpoint(m.Host.Trim('[', ']'), m.Port))];

    private async Task<bool> Poll(CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
        try
        {
            await Replace(await _client.State(either.Token), stop);
            return true;
        }
        catch (MasterUnavailable lost)
        {
            Log.NoState(_logger, lost.Message);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            Log.NoState(_logger, $"no answer in {_options.Timeout.TotalSeconds:0} s");
        }
        return false;
    }

    private async Task Apply(Event change, CancellationToken stop)
    {
        switch (change.Type)
        {
            case EventType.Subscribed:
                await Replace(await Whole(change.Subscribed.GetState, stop), stop);
                break;
            case EventType.TaskAdded:
                _zones.Change(feed => feed.Apply(MesosTask.Of(change.TaskAdded.Task)));
                break;
            case EventType.TaskUpdated:
                _zones.Change(feed => feed.Apply(change.TaskUpdated.FrameworkId.Value, change.TaskUpdated.Status));
                break;
            case EventType.AgentAdded:
                var agent = EventState.Agent(change.AgentAdded.Agent);
                await _hosts.Learn([agent.Host], stop);
                _zones.Change(feed => feed.Apply(agent));
                break;
            case EventType.AgentRemoved:
                _zones.Change(feed => feed.RemoveAgent(change.AgentRemoved.AgentId.Value));
                break;
            case EventType.FrameworkAdded or EventType.FrameworkUpdated:
                var framework = EventState.Framework((change.FrameworkAdded?.Framework ?? change.FrameworkUpdated.Framework).FrameworkInfo);
                await _hosts.Learn([framework.Host], stop);
                _zones.Change(feed => feed.Apply(framework));
                break;
            case EventType.FrameworkRemoved:
                _zones.Change(feed => feed.RemoveFramework(change.FrameworkRemoved.FrameworkInfo.Id.Value));
                break;
            case EventType.Heartbeat:
                _zones.Change(_ => { });
                break;
            default:
                break; // events of a newer master
        }
    }

    /// <summary>The stream's first event does not name the leader, nor the ports of schedulers: those are asked for beside it.</summary>
    private async Task<MesosCluster> Whole(Response.Types.GetState? state, CancellationToken stop)
    {
        var master = (await _operator.Ask(new Call { Type = Call.Types.Type.GetMaster }, stop)).GetMaster?.MasterInfo;
        var cluster = EventState.Cluster(state, master);
        try
        {
            var schedulers = (await _client.Schedulers(stop)).ToDictionary(f => f.Id, StringComparer.Ordinal);
            return cluster with { Frameworks = [.. cluster.Frameworks.Select(f => schedulers.GetValueOrDefault(f.Id, f))] };
        }
        catch (MasterUnavailable lost)
        {
            Log.NoSchedulers(_logger, lost.Message);
            return cluster;
        }
    }

    private async Task Replace(MesosCluster cluster, CancellationToken stop)
    {
        await _hosts.Learn(
            [.. cluster.Agents.Select(a => a.Host), .. cluster.Frameworks.Select(f => f.Host), .. Listed.Select(m => m.Host), cluster.Leader?.Host ?? ""], stop);
        _leader = cluster.Leader;
        _zones.Change(feed =>
        {
            feed.Replace(cluster);
            feed.Masters(cluster.Leader, Listed);
        });
    }
}
