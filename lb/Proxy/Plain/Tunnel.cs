using System.Buffers;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>Passes bytes between two sockets, on an event loop. The end of one direction is passed on and leaves the other one open; a reset ends both.</summary>
internal sealed unsafe class Tunnel
{
    /// <summary>Buffers that one direction may fill before others have their turn.</summary>
    private const int TurnsMax = 2;

    /// <summary>Of one read: a transfer, and not somebody who waits for an answer.</summary>
    private const int TransferBytes = 16 * 1024;

    private readonly EventLoop _loop;
    private readonly Side _client;
    private readonly Side _server;
    private readonly long _idle;
    private readonly long _end;
    private readonly Action _ended;
    private bool _isOver;
    private long _last;

    /// <param name="whole">null = however long it takes.</param>
    /// <param name="ended">Called once, when neither socket is needed any longer; closing them is the caller's.</param>
    public Tunnel(EventLoop loop, int client, int server, TimeSpan idle, TimeSpan? whole, Action ended)
    {
        (_loop, _ended) = (loop, ended);
        _last = Environment.TickCount64;
        _idle = (long)idle.TotalMilliseconds;
        _end = whole is { } most ? _last + (long)most.TotalMilliseconds : long.MaxValue;
        _client = new(this, client);
        _server = new(this, server);
        (_client.Other, _server.Other) = (_server, _client);
    }

    /// <summary>On the loop's thread.</summary>
    public void Begin()
    {
        if (_loop.Add(_client) && _loop.Add(_server)) Touch();
        else Break();
    }

    private void Touch()
    {
        _last = _loop.Now;
        _client.Deadline = Math.Min(_end, _last + _idle);
    }

    private void Break()
    {
        if (_isOver) return; // the sockets are the caller's again
        // Reset by either side: the other one learns it as it is, not as an orderly end.
        Libc.ResetOnClose(_client.Fd);
        Libc.ResetOnClose(_server.Fd);
        Close();
    }

    private void Close()
    {
        if (_isOver) return;
        _isOver = true;
        _client.Leave();
        _server.Leave();
        _ended();
    }

    private sealed class Side : Handler
    {
        private readonly Tunnel _tunnel;

        /// <summary>What this side has yet to take.</summary>
        private byte[]? _pending;
        private int _from;
        private int _to;

        /// <summary>There may be something to read.</summary>
        private bool _readable;
        private bool _hasEnded;
        private bool _isDone;
        private bool _isTransfer;

        public Side(Tunnel tunnel, int fd) => (_tunnel, Fd) = (tunnel, fd);

        public Side Other { get; set; } = null!;

        public override bool GoesLast => _isTransfer || _to > 0;

        public override void News(uint events)
        {
            if ((events & Libc.Error) != 0)
            {
                _tunnel.Break();
                return;
            }
            if ((events & (Libc.PeerEnded | Libc.HangUp)) != 0) _hasEnded = true;
            if ((events & (Libc.In | Libc.PeerEnded | Libc.HangUp)) != 0) _readable = true;
            if ((events & Libc.Out) != 0 && _to > 0 && TryFlush() && Other._readable) Other.Read();
            if (_readable && Slot != 0) Read();
        }

        public override void Late() => _tunnel.Close();

        public override void Break() => _tunnel.Break();

        public void Leave()
        {
            if (Slot != 0) _tunnel._loop.Remove(this);
            if (_pending is null) return;
            ArrayPool<byte>.Shared.Return(_pending);
            (_pending, _from, _to) = (null, 0, 0);
        }

        /// <summary>This side → the other one.</summary>
        private void Read()
        {
            var loop = _tunnel._loop;
            for (var turn = 0; !_isDone && Other._to == 0; turn++)
            {
                if (turn == TurnsMax)
                {
                    loop.Again(this);
                    return;
                }
                _readable = false;
                var got = Libc.Receive(Fd, loop.Buffer, EventLoop.BufferBytes);
                if (got == -Libc.Again) return;
                if (got < 0)
                {
                    _tunnel.Break();
                    return;
                }
                if (got == 0)
                {
                    _isDone = true;
                    Libc.EndSending(Other.Fd);
                    if (Other._isDone) _tunnel.Close();
                    return;
                }
                _tunnel.Touch();
                _isTransfer = got >= TransferBytes;
                _readable = got == EventLoop.BufferBytes || _hasEnded;
                if (!Other.TryTake(loop.Buffer, got) || !_readable) return;
            }
        }

        /// <returns>False where the tunnel is broken.</returns>
        private bool TryTake(byte* from, int count)
        {
            var sent = Libc.Send(Fd, from, count);
            if (sent == count) return true;
            if (sent == -Libc.Again) sent = 0;
            if (sent < 0)
            {
                _tunnel.Break();
                return false;
            }
            _pending ??= ArrayPool<byte>.Shared.Rent(EventLoop.BufferBytes);
            new ReadOnlySpan<byte>(from + sent, count - sent).CopyTo(_pending);
            (_from, _to) = (0, count - sent);
            // What comes meanwhile is news of the other side; what has come by now is not.
            Other._readable = true;
            return true;
        }

        /// <returns>True where there is room for more.</returns>
        private bool TryFlush()
        {
            while (_from < _to)
            {
                int sent;
                fixed (byte* bytes = _pending) sent = Libc.Send(Fd, bytes + _from, _to - _from);
                if (sent == -Libc.Again) return false;
                if (sent < 0)
                {
                    _tunnel.Break();
                    return false;
                }
                _from += sent;
                _tunnel.Touch();
            }
            ArrayPool<byte>.Shared.Return(_pending!);
            (_pending, _from, _to) = (null, 0, 0);
            return true;
        }
    }
}
