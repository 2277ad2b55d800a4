using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Xunit;

namespace Declarative.Tests.Api;

public sealed class SchemaTableTests
{
    [Fact]
    public void Fields_without_effect_are_fields_of_the_table()
    {
        var fields = NoEffect.Fields.ToList();
        Assert.NotEmpty(fields);
        Assert.Equal(fields.Count, fields.Distinct().Count());
        Assert.All(fields, x => Assert.NotNull(TypeTable.Type(x.Type)?.Find(x.Field)));
    }

    [Fact]
    public void Every_type_parses_and_finds_its_fields()
    {
        var fields = 0;
        foreach (var name in TypeTable.Names)
        {
            var type = TypeTable.Type(name)!;
            Assert.NotEmpty(type.Fields);
            foreach (var field in type.Fields.Where(field => field.Name.Length > 0))
            {
                Assert.Same(field, type.Find(field.NameUtf8));
                Assert.Same(field, type.Find(field.Name));
                Assert.Null(type.Find(System.Text.Encoding.UTF8.GetBytes(field.Name + "x")));
                fields++;
            }
        }

        Assert.True(fields > 2400, $"{fields} fields");
    }

    [Fact]
    public void A_field_carries_the_whole_row()
    {
        var ports = TypeTable.Type("core.v1.Container")!.Find("ports")!;
        Assert.Equal(Shape.List, ports.Type.Shape);
        Assert.Equal("core.v1.ContainerPort", ports.Type.Item!.Type.Name);
        Assert.Equal(ListType.Map, ports.ListType);
        Assert.Equal(["containerPort", "protocol"], ports.MapKeys);
        Assert.True(ports.PatchMerge);
        Assert.Equal("containerPort", ports.MergeKey);
        Assert.Equal([6], ports.Protobuf);
        Assert.Equal("\"TCP\"", ports.Type.Item.Type.Find("protocol")!.Default);
        Assert.True(ports.Type.Item.Type.Find("containerPort")!.Required);
        Assert.Equal([1, 6], TypeTable.Type("core.v1.EphemeralContainer")!.Find("ports")!.Protobuf);
    }

    [Fact]
    public void Kinds_have_apiVersion_and_kind_and_templates_have_not()
    {
        Assert.NotNull(TypeTable.Kind("apps", "v1", "Deployment").Find("kind"));
        Assert.NotNull(TypeTable.Type("meta.v1.DeleteOptions")!.Find("apiVersion"));
        Assert.Null(TypeTable.Type("core.v1.PodTemplateSpec")!.Find("kind"));
        Assert.Null(TypeTable.Type("core.v1.PodSpec")!.Find("kind"));
    }

    [Fact]
    public void Type_names_and_kinds_map_both_ways()
    {
        foreach (var kind in Kind.All)
        {
            var name = TypeNames.Of(kind.Group, kind.Version, kind.Name);
            Assert.Equal((kind.Group, kind.Version, kind.Name), TypeNames.KindOf(name));
        }
    }
}
