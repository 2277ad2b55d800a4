using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol.MasterApi;
using Microsoft.AspNetCore.Http;
using CallType = Declarative.Mesos.Protocol.MasterApi.Call.Types.Type;
using ResponseType = Declarative.Mesos.Protocol.MasterApi.Response.Types.Type;

namespace Declarative.Mesos.Mini.Http;

/// <summary>POST /api/v1.</summary>
internal static class OperatorEndpoint
{
    public static async Task Handle(HttpContext context, MiniMaster master)
    {
        if (await ApiCall.Read<Call>(context) is not { } call)
            return;
        if (Missing(call) is { } what)
        {
            await Answer.Text(context, 400, $"Failed to validate master::Call: Expecting '{what}' to be present");
            return;
        }

        if (MediaTypes.OfAccept(context.Request) is not { } accept)
        {
            await Answer.Text(context, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
            return;
        }

        if (call.Type == CallType.Subscribe)
            await Subscribe(context, master, accept);
        else if (OperatorChanges.Of(call) is { } change)
            await Done(context, master.Operate(change));
        else if (call.Type is CallType.ListFiles or CallType.ReadFile)
            await Answer.NoFile(context); // As of a master without a log file: it shows no others.
        else if (Read(call, master) is { } response)
            await Answer.Message(context, response, accept);
        else
            await Answer.Text(context, 501, $"This master does not support {Name(call.Type)}");
    }

    private static string? Missing(Call call) =>
        call switch
        {
            { HasType: false } or { Type: CallType.Unknown } => "type",
            _ when !Enum.IsDefined(call.Type) => "type",
            { Type: CallType.GetMetrics, GetMetrics: null } => "get_metrics",
            { Type: CallType.ListFiles, ListFiles: null } => "list_files",
            { Type: CallType.ReadFile, ReadFile: null } => "read_file",
            _ => OperatorChanges.Missing(call),
        };

    private static async Task Done(HttpContext context, CallOutcome outcome)
    {
        if (outcome.IsTaken)
            await Answer.Empty(context, outcome.Status);
        else
            await Answer.Text(context, outcome.Status, outcome.Text);
    }

    private static async Task Subscribe(HttpContext context, MiniMaster master, MediaType accept)
    {
        var stream = master.Watch();
        try
        {
            await EventBody.Write(context, stream, accept);
        }
        finally
        {
            master.Unwatch(stream);
        }

        if (master.IsStopped)
            context.Abort();
    }

    private static Response? Read(Call call, MiniMaster master) =>
        call.Type switch
        {
            CallType.GetHealth => new Response { Type = ResponseType.GetHealth, GetHealth = new() { Healthy = true } },
            CallType.GetVersion => new Response
            {
                Type = ResponseType.GetVersion,
                GetVersion = new() { VersionInfo = new() { Version = Version.Text } },
            },
            CallType.GetFlags => Flags(master.Options),
            CallType.GetMetrics => Metrics(master),
            CallType.GetState => new Response { Type = ResponseType.GetState, GetState = master.View(OperatorViews.State) },
            CallType.GetAgents => new Response { Type = ResponseType.GetAgents, GetAgents = master.View(OperatorViews.Agents) },
            CallType.GetFrameworks => new Response
            {
                Type = ResponseType.GetFrameworks,
                GetFrameworks = master.View(OperatorViews.Frameworks),
            },
            CallType.GetExecutors => new Response
            {
                Type = ResponseType.GetExecutors,
                GetExecutors = master.View(OperatorViews.Executors),
            },
            CallType.GetTasks => new Response { Type = ResponseType.GetTasks, GetTasks = master.View(OperatorViews.Tasks) },
            CallType.GetRoles => new Response { Type = ResponseType.GetRoles, GetRoles = master.View(OperatorViews.Roles) },
            CallType.GetOperations => new Response
            {
                Type = ResponseType.GetOperations,
                GetOperations = master.View(OperatorViews.Operations),
            },
            CallType.GetQuota => new Response { Type = ResponseType.GetQuota, GetQuota = master.View(OperatorViews.Quota) },
            CallType.GetMaintenanceSchedule => new Response
            {
                Type = ResponseType.GetMaintenanceSchedule,
                GetMaintenanceSchedule = new() { Schedule = master.ViewOperator(desk => desk.Maintenance.Schedule) },
            },
            CallType.GetMaintenanceStatus => new Response
            {
                Type = ResponseType.GetMaintenanceStatus,
                GetMaintenanceStatus = new() { Status = master.ViewOperator(desk => desk.Maintenance.Status()) },
            },
            CallType.GetLoggingLevel => new Response
            {
                Type = ResponseType.GetLoggingLevel,
                GetLoggingLevel = new() { Level = master.ViewOperator(desk => desk.LoggingLevel) },
            },
            CallType.GetWeights => new Response { Type = ResponseType.GetWeights, GetWeights = master.View(OperatorViews.Weights) },
            CallType.GetMaster => new Response { Type = ResponseType.GetMaster, GetMaster = master.View(Master) },
            _ => null,
        };

    private static Response.Types.GetMaster Master(Cluster cluster)
    {
        var started = (cluster.Started - DateTimeOffset.UnixEpoch).Ticks / 1e7;
        return new()
        {
            MasterInfo = OperatorViews.MasterInfo(cluster),
            StartTime = started,
            ElectedTime = started,
        };
    }

    private static Response Flags(MasterOptions options)
    {
        var response = new Response { Type = ResponseType.GetFlags, GetFlags = new() };
        foreach (var (name, value) in MasterFlags.Of(options))
            response.GetFlags.Flags.Add(new Declarative.Mesos.Protocol.Flag { Name = name, Value = value });
        return response;
    }

    private static Response Metrics(MiniMaster master)
    {
        var response = new Response { Type = ResponseType.GetMetrics, GetMetrics = new() };
        foreach (var (name, value) in master.View(MasterMetrics.Of))
            response.GetMetrics.Metrics.Add(new Declarative.Mesos.Protocol.Metric { Name = name, Value = value });
        return response;
    }

    private static string Name(CallType type) => type.ToString();
}
