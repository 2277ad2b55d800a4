namespace Declarative.Tests;
public class SmokeTests { [Xunit.Fact] public void Runs() { } }
