using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http.Audit;

/// <summary>
/// The audit log: one JSON line per event (audit.k8s.io/v1 Event) in a file, which is put aside at a size, as FILE.1, FILE.2 …; the oldest goes.
/// Requests wait while the disk is slower than they are: nothing is left out. Where the disk refuses, that is logged and counted, and requests go on.
/// </summary>
internal sealed partial class AuditLog : IAsyncDisposable
{
    private const int LinesWaitingMax = 10_000;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Channel<byte[]> _lines = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(LinesWaitingMax) { SingleReader = true });
    private readonly AuditOptions _options;
    private readonly ILogger _log;
    private readonly Task _writing;
    private long _lost;

    /// <param name="policy">Read and checked.</param>
    public AuditLog(AuditOptions options, AuditPolicy policy, ILogger log)
    {
        (_options, Policy, _log) = (options, policy, log);
        _writing = Write();
    }

    public AuditPolicy Policy { get; }

    /// <summary>Events that the disk refused.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <param name="line">Without the line's end.</param>
    public ValueTask Add(byte[] line) => _lines.Writer.WriteAsync(line);

    /// <summary>Writes what waits, then closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writing;
    }

    private async Task Write()
    {
        FileStream? file = null;
        while (await _lines.Reader.WaitToReadAsync())
        {
            var taken = 0;
            try
            {
                file ??= Open();
                while (_lines.Reader.TryRead(out var line))
                {
                    taken++;
                    await file.WriteAsync(line);
                    file.WriteByte((byte)'\n');
                }
                await file.FlushAsync();
                taken = 0;
                if (file.Length >= _options.BytesMax)
                {
                    await file.DisposeAsync();
                    file = null;
                    TryRotate();
                }
            }
            catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
            {
                // With what was taken and is perhaps not on disk; the next line tries a new file handle.
                Interlocked.Add(ref _lost, Math.Max(taken, 1));
                if (taken == 0) _lines.Reader.TryRead(out _);
                Refused(_log, _options.File, refused.Message);
                file = null;
            }
        }
        if (file is not null) await file.DisposeAsync();
    }

    private FileStream Open()
    {
        var options = new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 64 * 1024 };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerOnly;
        return new(_options.File, options);
    }

    private void TryRotate()
    {
        try
        {
            Rotate();
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // The file goes on growing; nothing is lost.
            Refused(_log, _options.File, refused.Message);
        }
    }

    private void Rotate()
    {
        for (var i = _options.FilesMax - 1; i >= 1; i--)
        {
            var from = i == 1 ? _options.File : $"{_options.File}.{i - 1}";
            if (File.Exists(from)) File.Move(from, $"{_options.File}.{i}", overwrite: true);
        }
        if (_options.FilesMax == 1) File.Delete(_options.File);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the audit log {File} can not be written: {Reason}")]
    private static partial void Refused(ILogger log, string file, string reason);
}

/// <summary>Where the audit log goes.</summary>
public sealed record AuditOptions(string File)
{
    /// <summary>A Policy of audit.k8s.io/v1 in YAML; "" = metadata of everything but the platform's own reading and leases.</summary>
    public string PolicyFile { get; init; } = "";

    /// <summary>A file of this size is put aside.</summary>
    public long BytesMax { get; init; } = 100L * 1024 * 1024;

    /// <summary>Files kept, the present one among them.</summary>
    public int FilesMax { get; init; } = 10;
}
