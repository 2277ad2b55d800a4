using System.Text;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Xunit;

namespace Declarative.Tests.Api;

public sealed class ViewTests
{
    [Fact]
    public void Absent_fields_keep_their_defaults()
    {
        var pod = Pod.Read("""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","unknown":{"x":[1]}},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}],"readinessProbe":{"httpGet":{"port":"web"}},"resources":{"requests":{"cpu":"100m","memory":67108864}}}]}}"""u8.ToArray());
        Assert.Equal("a", pod.Name);
        Assert.Equal("Always", pod.Spec.RestartPolicy);
        Assert.Empty(pod.Metadata.Labels);
        Assert.Empty(pod.Status.Conditions);
        var container = Assert.Single(pod.Spec.Containers);
        Assert.Equal(80, container.Ports[0].Number);
        Assert.Equal("TCP", container.Ports[0].Protocol);
        Assert.Equal("web", container.ReadinessProbe!.HttpGet!.Port.Text);
        Assert.Equal(3, container.ReadinessProbe.FailureThreshold);
        Assert.Equal(100, container.Resources.Requests["cpu"].Milli);
        Assert.Equal(67108864, container.Resources.Requests["memory"].Value);
    }

    [Fact]
    public void What_was_read_of_the_same_bytes_is_shared_and_nothing_else()
    {
        static Pod Read(string name, string image) => Pod.Read(Encoding.UTF8.GetBytes(
            $$$"""{"metadata":{"name":"{{{name}}}","labels":{"app":"{{{image}}}"},"annotations":null},"spec":{"containers":[{"name":"c","image":"{{{image}}}","env":[{"name":"A","value":"{\"]}"}]}],"nodeName":"{{{name}}}"}}"""));
        var (first, like, other) = (Read("one", "a"), Read("number-two", "a"), Read("three", "b"));
        Assert.Same(first.Spec.Containers, like.Spec.Containers);
        Assert.Same(first.Metadata.Labels, like.Metadata.Labels);
        Assert.Equal(("number-two", "number-two"), (like.Name, like.Spec.NodeName));
        Assert.Equal(("b", "b", "{\"]}"), (other.Spec.Containers[0].Image, other.Metadata.Labels["app"], other.Spec.Containers[0].Env[0].Value));
        var longValue = new string('x', 5_000);
        Assert.Equal(longValue, Read("long", longValue).Spec.Containers[0].Image);
    }

    [Theory]
    [InlineData("a=b,c!=d,e in (x, y),f notin (z),g,!h", "a=b,c!=d,e in (x,y),f!=z,g,!h")]
    [InlineData("", "")]
    [InlineData("inside=1", "inside=1")]
    public void Label_selectors_parse(string text, string canonical) => Assert.Equal(canonical, LabelSelector.Parse(text).ToString());

    [Theory]
    [InlineData("a in x")]
    [InlineData("a=b c")]
    [InlineData(",")]
    [InlineData("-a=b")]
    public void Bad_label_selectors_are_refused(string text) => Assert.Equal(400, Assert.Throws<Declarative.Api.ApiException>(() => LabelSelector.Parse(text)).Code);

    [Theory]
    [InlineData("100m", 100)]
    [InlineData("1", 1000)]
    [InlineData("0.5", 500)]
    [InlineData("1.5Gi", 1610612736000)]
    [InlineData("2e3", 2000000)]
    [InlineData("1n", 1)]
    [InlineData("-1k", -1000000)]
    public void Quantities_parse(string text, long milli) => Assert.Equal(milli, Quantity.Parse(text).Milli);

    /// <summary>A fraction of 0 is worked out by numbers of any size, a whole number by those of the machine.</summary>
    [Fact]
    public void A_whole_quantity_is_that_with_a_fraction_of_0()
    {
        foreach (var suffix in (string[])["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "Pi"])
        {
            foreach (var number in (string[])["0", "1", "-1", "+7", "007", "250", "999999999999999", "-999999999999999", "9999999999999999"])
            {
                Assert.Equal(Quantity.Parse($"{number}.0{suffix}"), Quantity.Parse(number + suffix));
            }
        }
    }

    [Fact]
    public void Task_annotation_round_trips()
    {
        var task = new TaskAnnotation { Id = "u.3", Agent = "S0", Ports = new Dictionary<string, int> { ["web/80"] = 31001 } };
        var read = TaskAnnotation.Read(task.ToJson())!;
        Assert.Equal("u.3", read.Id);
        Assert.Equal(3, read.Attempt);
        Assert.Equal(31001, read.HostPort("web", 80));
        Assert.Null(TaskAnnotation.Read("{"));
        Assert.Equal(Encoding.UTF8.GetString("{\"id\":\"u.3\",\"agent\":\"S0\",\"ports\":{\"web/80\":31001}}"u8), task.ToJson());
    }
}
