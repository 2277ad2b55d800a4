using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Mesos.Scheduler.ZooKeeper;

/// <summary>What a server said to a question. <see cref="NoNode"/> is an answer too.</summary>
internal enum ZooKeeperCode
{
    Ok = 0,
    NoNode = -101,
}

/// <summary>There is no session: no server answers, the connection broke, the session expired or the credential was refused. Retryable.</summary>
internal sealed class ZooKeeperLost(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The session is over: its ticket is worth nothing any more.</summary>
    public bool IsExpired { get; init; }
}

/// <summary>
/// One connection of a ZooKeeper session, for reading: children and data of znodes with watches. A lost connection is taken up by
/// <see cref="Open"/> on another server with <see cref="Ticket"/>, as long as the session has not expired there.
/// </summary>
/// <remarks>Source: ZooKeeper's zookeeper.jute and its programmer's guide, "ZooKeeper Sessions" and "ZooKeeper Watches".</remarks>
internal sealed class ZooKeeperSession : IAsyncDisposable
{
    private const int WatchXid = -1;
    private const int PingXid = -2;
    private const int AuthXid = -4;
    private const int GetDataType = 4;
    private const int PingType = 11;
    private const int GetChildrenType = 8;
    private const int AuthType = 100;
    private const int CloseType = -11;
    private const int ExpiredCode = -112;

    private readonly TcpClient _socket;
    private readonly NetworkStream _stream;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Lock _lock = new();
    private readonly Dictionary<int, TaskCompletionSource<(int Code, byte[] Body)>> _questions = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _reading = Task.CompletedTask;
    private Task _pinging = Task.CompletedTask;
    private Exception? _lost;
    private int _xid;
    private long _heard;

    private ZooKeeperSession(TcpClient socket, TimeProvider time)
    {
        (_socket, _stream, _time) = (socket, socket.GetStream(), time);
        _heard = time.GetTimestamp();
    }

    /// <summary>What a server needs to know a session again.</summary>
    public readonly record struct Ticket(long Id, byte[]? Password, long LastZxid);

    public long Id { get; private set; }
    public byte[] Password { get; private set; } = [];

    /// <summary>After this time without word from us the servers end the session; as the server has granted it.</summary>
    public TimeSpan Timeout { get; private set; }
    public long LastZxid { get; private set; }

    /// <summary>The connection broke; the session may go on.</summary>
    public bool IsLost
    {
        get
        {
            lock (_lock) return _lost is not null;
        }
    }

    /// <summary>Ends when a watched znode has changed (watches fire once), or faults with <see cref="ZooKeeperLost"/>.</summary>
    public Task Changed => _changed.Task;

    /// <summary>After <see cref="Changed"/> has ended: a new one for the next change.</summary>
    public void Rearm()
    {
        lock (_lock)
        {
            if (_lost is null && _changed.Task.IsCompleted) _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Connects to the first server that answers.</summary>
    /// <exception cref="ZooKeeperLost">None does, or the session of the ticket has expired.</exception>
    public static async Task<ZooKeeperSession> Open(ZooKeeperAddress address, Ticket ticket, TimeSpan timeout, TimeProvider time, CancellationToken stop)
    {
        var failures = new List<string>();
        var expired = false;
        foreach (var (host, port) in address.Servers)
        {
            var socket = new TcpClient { NoDelay = true };
            try
            {
                // A third for each server, so that a session outlives one that does not answer.
                using var patience = new CancellationTokenSource(timeout / 3, time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
                await socket.ConnectAsync(host, port, either.Token);
                var session = new ZooKeeperSession(socket, time);
                if (await session.Greet(ticket, timeout, address.Credential, either.Token)) return session;
                await session.DisposeAsync();
                expired = true;
                failures.Add($"{host}:{port}: the session has expired");
            }
            catch (Exception lost) when (lost is SocketException or IOException or InvalidDataException or OperationCanceledException)
            {
                socket.Dispose();
                stop.ThrowIfCancellationRequested();
                failures.Add($"{host}:{port}: {(lost is OperationCanceledException ? "no answer in time" : lost.Message)}");
            }
        }
        throw new ZooKeeperLost(string.Join("; ", failures)) { IsExpired = expired };
    }

    /// <summary>The names of a znode's children, watched.</summary>
    public async Task<(ZooKeeperCode Code, IReadOnlyList<string> Names)> Children(string path, CancellationToken stop)
    {
        var (code, body) = await Ask(GetChildrenType, path, stop);
        return (code, code is ZooKeeperCode.Ok ? Names(body) : []);
    }

    /// <summary>A znode's bytes, watched.</summary>
    public async Task<(ZooKeeperCode Code, byte[] Bytes)> Data(string path, CancellationToken stop)
    {
        var (code, body) = await Ask(GetDataType, path, stop);
        return (code, code is ZooKeeperCode.Ok ? new JuteReader(body).Bytes().ToArray() : []);
    }

    /// <summary>Ends the connection; the session too where the server can still be told.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_lost is null)
        {
            try
            {
                using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1), _time);
                await Write(new JuteWriter().Int(++_xid).Int(CloseType), patience.Token);
            }
            catch (Exception late) when (late is IOException or ObjectDisposedException or OperationCanceledException)
            {
                _lost = late; // then the session ends by its timeout
            }
        }
        _stop.Cancel();
        _socket.Dispose();
        await _reading;
        await _pinging;
        _stop.Dispose();
        _writing.Dispose();
    }

    /// <summary>False: the session of the ticket has expired.</summary>
    private async Task<bool> Greet(Ticket ticket, TimeSpan timeout, string credential, CancellationToken stop)
    {
        await Write(new JuteWriter().Int(0).Long(ticket.LastZxid).Int((int)timeout.TotalMilliseconds).Long(ticket.Id).Bytes(ticket.Password ?? new byte[16]).Bool(false), stop);
        Welcome(await Read(stop));
        if (Timeout <= TimeSpan.Zero)
        {
            _lost = new IOException("the session has expired");
            return false;
        }
        LastZxid = ticket.LastZxid;
        if (credential.Length > 0) await Write(new JuteWriter().Int(AuthXid).Int(AuthType).Int(0).Text("digest").Bytes(Encoding.UTF8.GetBytes(credential)), stop);
        _reading = ReadAll();
        _pinging = Ping();
        return true;
    }

    private void Welcome(byte[] answer)
    {
        var reader = new JuteReader(answer);
        reader.Int();
        Timeout = TimeSpan.FromMilliseconds(reader.Int());
        Id = reader.Long();
        Password = reader.Bytes().ToArray();
    }

    private async Task<(ZooKeeperCode Code, byte[] Body)> Ask(int type, string path, CancellationToken stop)
    {
        var answer = new TaskCompletionSource<(int Code, byte[] Body)>(TaskCreationOptions.RunContinuationsAsynchronously);
        int xid;
        lock (_lock)
        {
            if (_lost is { } before) throw new ZooKeeperLost(before.Message, before);
            _questions.Add(xid = ++_xid, answer);
        }
        try
        {
            await Write(new JuteWriter().Int(xid).Int(type).Text(path).Bool(true), stop);
        }
        catch (Exception lost) when (lost is IOException or ObjectDisposedException)
        {
            throw new ZooKeeperLost(lost.Message, lost);
        }
        var (code, body) = await answer.Task.WaitAsync(stop);
        return code is 0 or (int)ZooKeeperCode.NoNode ? ((ZooKeeperCode)code, body) : throw new ZooKeeperLost($"{path}: {Words(code)}") { IsExpired = code == ExpiredCode };
    }

    /// <summary>Reads until the connection ends; never throws.</summary>
    private async Task ReadAll()
    {
        try
        {
            while (true) Take(await Read(_stop.Token));
        }
        catch (Exception lost) when (lost is IOException or InvalidDataException or ObjectDisposedException or OperationCanceledException)
        {
            End(lost);
        }
    }

    private void Take(byte[] message)
    {
        _heard = _time.GetTimestamp();
        var reader = new JuteReader(message);
        var (xid, zxid, code) = (reader.Int(), reader.Long(), reader.Int());
        if (zxid > LastZxid) LastZxid = zxid;
        switch (xid)
        {
            case WatchXid:
                lock (_lock) _changed.TrySetResult();
                return;
            case AuthXid when code != 0: throw new InvalidDataException("the credential is refused");
            case AuthXid or PingXid: return;
        }
        TaskCompletionSource<(int, byte[])>? question;
        lock (_lock)
        {
            if (!_questions.Remove(xid, out question)) return;
        }
        question.TrySetResult((code, message[16..]));
    }

    /// <summary>A ping each third of the timeout; without an answer for two thirds the connection is dead. Never throws.</summary>
    private async Task Ping()
    {
        try
        {
            while (true)
            {
                await Task.Delay(Timeout / 3, _time, _stop.Token);
                if (_time.GetElapsedTime(_heard) > Timeout * 2 / 3) throw new IOException($"no word for {Timeout * 2 / 3}");
                await Write(new JuteWriter().Int(PingXid).Int(PingType), _stop.Token);
            }
        }
        catch (Exception lost) when (lost is IOException or ObjectDisposedException or OperationCanceledException)
        {
            End(lost);
        }
    }

    private void End(Exception lost)
    {
        List<TaskCompletionSource<(int, byte[])>> open;
        TaskCompletionSource changed;
        lock (_lock)
        {
            _lost ??= lost;
            changed = _changed;
            open = [.. _questions.Values];
            _questions.Clear();
        }
        var told = new ZooKeeperLost(lost is OperationCanceledException or ObjectDisposedException ? "the connection was closed" : lost.Message, lost);
        foreach (var question in open) question.TrySetException(told);
        if (changed.TrySetException(told)) _ = changed.Task.Exception; // seen: nobody need wait for it
        _socket.Close();
    }

    private async Task Write(JuteWriter message, CancellationToken stop)
    {
        await _writing.WaitAsync(stop);
        try
        {
            await _stream.WriteAsync(message.Frame(), stop);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task<byte[]> Read(CancellationToken stop)
    {
        var header = new byte[4];
        await _stream.ReadExactlyAsync(header, stop);
        var length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length is < 0 or > Limits.ZooKeeperMessageBytesMax) throw new InvalidDataException($"a message of {length} bytes; at most {Limits.ZooKeeperMessageBytesMax} are taken");
        var message = new byte[length];
        await _stream.ReadExactlyAsync(message, stop);
        return message;
    }

    private static List<string> Names(byte[] body)
    {
        var reader = new JuteReader(body);
        var names = new List<string>();
        for (var left = reader.Int(); left > 0; left--) names.Add(reader.Text());
        return names;
    }

    private static string Words(int code) => code switch
    {
        -4 => "the server lost its connection to the others",
        -102 => "not allowed to read it; give zk://USER:PASSWORD@…",
        ExpiredCode => "the session has expired",
        -115 => "the credential is refused",
        _ => $"ZooKeeper's error {code}",
    };
}
