using System.Security.Cryptography;
using System.Text;
using Declarative.Api;

namespace Declarative.ApiServer.Authentication;

/// <summary>A bearer token and whom it stands for: one line of Kubernetes' token file, <c>token,user,uid,"group1,group2"</c>.</summary>
internal sealed class StaticToken(string text, User user)
{
    private readonly byte[] _hash = SHA256.HashData(Encoding.UTF8.GetBytes(text));

    public string Text => text;
    public User User => user;

    /// <summary>Takes the same time whether the first or the last byte differs.</summary>
    public bool Matches(ReadOnlySpan<byte> hash) => CryptographicOperations.FixedTimeEquals(_hash, hash);

    /// <param name="path">Named in the error.</param>
    public static IReadOnlyList<StaticToken> Read(string path, string file)
    {
        var tokens = new List<StaticToken>();
        var number = 0;
        foreach (var line in file.Split('\n', StringSplitOptions.TrimEntries))
        {
            number++;
            if (line.Length == 0 || line.StartsWith('#')) continue;
            var cells = line.Split(',', 4);
            if (cells.Length < 3) throw new InvalidDataException($"{path}, line {number}: expected token,user,uid[,\"group1,group2\"]");
            var groups = cells.Length < 4 ? [] : cells[3].Trim().Trim('"').Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            tokens.Add(new(cells[0], new User(cells[1], [.. groups, User.Authenticated]) { Uid = cells[2].Trim() }));
        }
        return tokens;
    }

    public static string Write(IEnumerable<StaticToken> tokens)
    {
        var text = new StringBuilder();
        foreach (var token in tokens)
        {
            var groups = string.Join(',', token.User.Groups.Where(x => x != User.Authenticated));
            text.Append($"{token.Text},{token.User.Name},{token.User.Name},\"{groups}\"\n");
        }
        return text.ToString();
    }

    /// <summary>A token never reaches a log.</summary>
    public override string ToString() => $"token of {user.Name}";
}
