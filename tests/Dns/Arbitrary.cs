using System.Net;
using Declarative.Dns.Wire;
using FsCheck;
using FsCheck.Fluent;

namespace Declarative.Tests.Dns;

/// <summary>Random names and records.</summary>
internal static class Arbitrary
{
    private static readonly Gen<string> Label = Gen.Elements("a", "web", "hello", "_http", "_tcp", "shop", "x-1", new string('l', 63))
        .Or(Gen.Choose(0, 255).ArrayOf().Where(b => b.Length is > 0 and <= 63).Select(b => string.Concat(b.Select(v => $"\\{v:D3}"))));

    public static readonly Gen<DnsName> Name = Label.ListOf()
        .Select(labels => string.Join('.', labels.Take(5)) + ".")
        .Select(text => DnsName.TryParse(text, out var name) ? name : DnsName.Root);

    public static readonly Gen<Record> Record = Gen.OneOf(
        from name in Name from bytes in Bytes(4) select Declarative.Dns.Wire.Record.OfAddress(name, 5, new IPAddress(bytes)),
        from name in Name from bytes in Bytes(16) select Declarative.Dns.Wire.Record.OfAddress(name, 5, new IPAddress(bytes)),
        from name in Name from port in Gen.Choose(0, 65535) from target in Name
        select Declarative.Dns.Wire.Record.OfSrv(name, 60, 1, 2, (ushort)port, target),
        from name in Name from type in Gen.Elements(RecordType.Cname, RecordType.Ns, RecordType.Ptr) from target in Name
        select Declarative.Dns.Wire.Record.OfName(name, type, 3600, target),
        from name in Name from text in Gen.Choose(0, 600) select Declarative.Dns.Wire.Record.OfText(name, 0, new string('t', text)),
        from name in Name from a in Name from b in Name from n in Gen.Choose(0, int.MaxValue)
        select Declarative.Dns.Wire.Record.OfSoa(name, 1, a, b, (uint)n, 2, 3, 4, 5));

    public static Gen<byte[]> Bytes(int count) => Gen.Choose(0, 255).ArrayOf(count).Select(values => values.Select(v => (byte)v).ToArray());

    public static void Holds<T>(Gen<T> gen, Func<T, bool> property, int tests = 1000) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(tests), Prop.ForAll(gen.ToArbitrary(), property));
}
