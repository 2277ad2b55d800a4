namespace Declarative.ApiServer.Tables;

/// <summary>
/// Durations as kubectl users read them (apimachinery HumanDuration): two units while the first is small, else one:
/// 45s, 5m30s, 15m, 3h20m, 30h, 5d4h, 100d, 2y30d, 9y.
/// </summary>
internal static class Age
{
    public static string Of(long ticks)
    {
        var seconds = ticks / TimeSpan.TicksPerSecond;
        if (seconds < -1) return "<invalid>";
        if (seconds < 0) return "0s";
        if (seconds < 120) return $"{seconds}s";
        var minutes = seconds / 60;
        if (minutes < 10) return seconds % 60 == 0 ? $"{minutes}m" : $"{minutes}m{seconds % 60}s";
        if (minutes < 180) return $"{minutes}m";
        var hours = minutes / 60;
        if (hours < 8) return minutes % 60 == 0 ? $"{hours}h" : $"{hours}h{minutes % 60}m";
        if (hours < 48) return $"{hours}h";
        if (hours < 192) return hours % 24 == 0 ? $"{hours / 24}d" : $"{hours / 24}d{hours % 24}h";
        var days = hours / 24;
        if (days < 730) return $"{days}d";
        if (days < 2920) return days % 365 == 0 ? $"{days / 365}y" : $"{days / 365}y{days % 365}d";
        return $"{days / 365}y";
    }
}
