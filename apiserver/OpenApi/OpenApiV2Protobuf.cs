using System.Text.Json;
using Declarative.ApiServer.Protobuf;

namespace Declarative.ApiServer.OpenApi;

/// <summary>
/// The protobuf form of an OpenAPI 2.0 document (package openapi.v2, published with gnostic): the same document, with JSON objects of
/// free names as lists of pairs, and extensions and enumerable values as YAML text, of which JSON is a part.
/// Field numbers stand in the comments as <c>Message.field</c>.
/// </summary>
internal static class OpenApiV2Protobuf
{
    public static ReadOnlyMemory<byte> Encode(ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var to = new ProtobufWriter();
        var root = document.RootElement;
        to.Text(1, root.GetProperty("swagger").GetString()!); // Document.swagger
        var info = to.Begin(2); // Document.info
        to.Text(1, root.GetProperty("info").GetProperty("title").GetString()!);
        to.Text(2, root.GetProperty("info").GetProperty("version").GetString()!);
        to.End(info);
        var paths = to.Begin(8); // Document.paths
        foreach (var path in root.GetProperty("paths").EnumerateObject())
        {
            Pair(to, 2, path, PathItem); // Paths.path
        }

        to.End(paths);
        var definitions = to.Begin(9); // Document.definitions
        foreach (var definition in root.GetProperty("definitions").EnumerateObject())
        {
            Pair(to, 1, definition, Schema); // Definitions.additional_properties
        }

        to.End(definitions);
        return to.Written.ToArray();
    }

    // NamedX { name = 1, value = 2 }.
    private static void Pair(ProtobufWriter to, int field, JsonProperty member, Action<ProtobufWriter, JsonElement> write)
    {
        var pair = to.Begin(field);
        to.Text(1, member.Name);
        var value = to.Begin(2);
        write(to, member.Value);
        to.End(value);
        to.End(pair);
    }

    private static void PathItem(ProtobufWriter to, JsonElement path)
    {
        foreach (var member in path.EnumerateObject())
        {
            switch (member.Name)
            {
                case "parameters":
                    Parameters(to, 9, member.Value); // PathItem.parameters
                    break;
                case var verb:
                    var operation = to.Begin(verb switch { "get" => 2, "put" => 3, "post" => 4, "delete" => 5, "patch" => 8, _ => throw Unknown(verb) });
                    Operation(to, member.Value);
                    to.End(operation);
                    break;
            }
        }
    }

    private static void Operation(ProtobufWriter to, JsonElement operation)
    {
        foreach (var member in operation.EnumerateObject())
        {
            switch (member.Name)
            {
                case "description": to.Text(3, member.Value.GetString()!); break; // Operation.description
                case "operationId": to.Text(5, member.Value.GetString()!); break; // Operation.operation_id
                case "produces": Texts(to, 6, member.Value); break; // Operation.produces
                case "consumes": Texts(to, 7, member.Value); break; // Operation.consumes
                case "parameters": Parameters(to, 8, member.Value); break; // Operation.parameters
                case "responses":
                    var responses = to.Begin(9); // Operation.responses
                    foreach (var code in member.Value.EnumerateObject())
                    {
                        Pair(to, 1, code, Response); // Responses.response_code
                    }

                    to.End(responses);
                    break;
                default: Extension(to, 13, member); break; // Operation.vendor_extension
            }
        }
    }

    private static void Response(ProtobufWriter to, JsonElement response)
    {
        var value = to.Begin(1); // ResponseValue.response
        to.Text(1, response.GetProperty("description").GetString()!); // Response.description
        var item = to.Begin(2); // Response.schema
        Message(to, 1, response.GetProperty("schema"), Schema); // SchemaItem.schema
        to.End(item);
        to.End(value);
    }

    private static void Parameters(ProtobufWriter to, int field, JsonElement parameters)
    {
        foreach (var parameter in parameters.EnumerateArray())
        {
            var item = to.Begin(field);
            var one = to.Begin(1); // ParametersItem.parameter
            Parameter(to, parameter);
            to.End(one);
            to.End(item);
        }
    }

    private static void Parameter(ProtobufWriter to, JsonElement parameter)
    {
        var place = parameter.GetProperty("in").GetString()!;
        if (place == "body")
        {
            var body = to.Begin(1); // Parameter.body_parameter
            to.Text(2, parameter.GetProperty("name").GetString()!); // BodyParameter.name
            to.Text(3, place); // BodyParameter.in
            Flag(to, 4, parameter); // BodyParameter.required
            Message(to, 5, parameter.GetProperty("schema"), Schema); // BodyParameter.schema
            to.End(body);
            return;
        }

        var other = to.Begin(2); // Parameter.non_body_parameter
        var query = place == "query";
        var sub = to.Begin(query ? 3 : 4); // NonBodyParameter.{query,path}_parameter_sub_schema
        Flag(to, 1, parameter); // required
        to.Text(2, place); // in
        if (parameter.TryGetProperty("description", out var description))
        {
            to.Text(3, description.GetString()!);
        }

        to.Text(4, parameter.GetProperty("name").GetString()!); // name
        to.Text(query ? 6 : 5, parameter.GetProperty("type").GetString()!); // type
        to.End(sub);
        to.End(other);
    }

    private static void Schema(ProtobufWriter to, JsonElement schema)
    {
        foreach (var member in schema.EnumerateObject())
        {
            switch (member.Name)
            {
                case "$ref": to.Text(1, member.Value.GetString()!); break; // Schema._ref
                case "format": to.Text(2, member.Value.GetString()!); break; // Schema.format
                case "description": to.Text(4, member.Value.GetString()!); break; // Schema.description
                case "default": Message(to, 5, member.Value, Any); break; // Schema.default
                case "required": Texts(to, 19, member.Value); break; // Schema.required
                case "additionalProperties":
                    var additional = to.Begin(21); // Schema.additional_properties
                    Message(to, 1, member.Value, Schema); // AdditionalPropertiesItem.schema
                    to.End(additional);
                    break;
                case "type":
                    var type = to.Begin(22); // Schema.type
                    to.Text(1, member.Value.GetString()!); // TypeItem.value
                    to.End(type);
                    break;
                case "items":
                    var items = to.Begin(23); // Schema.items
                    Message(to, 1, member.Value, Schema); // ItemsItem.schema
                    to.End(items);
                    break;
                case "properties":
                    var properties = to.Begin(25); // Schema.properties
                    foreach (var property in member.Value.EnumerateObject())
                    {
                        Pair(to, 1, property, Schema); // Properties.additional_properties
                    }

                    to.End(properties);
                    break;
                default: Extension(to, 31, member); break; // Schema.vendor_extension
            }
        }
    }

    private static void Extension(ProtobufWriter to, int field, JsonProperty member)
    {
        if (!member.Name.StartsWith("x-", StringComparison.Ordinal))
        {
            throw Unknown(member.Name);
        }

        Pair(to, field, member, Any);
    }

    private static void Any(ProtobufWriter to, JsonElement value) => to.Text(2, value.GetRawText()); // Any.yaml

    private static void Message(ProtobufWriter to, int field, JsonElement value, Action<ProtobufWriter, JsonElement> write)
    {
        var message = to.Begin(field);
        write(to, value);
        to.End(message);
    }

    private static void Texts(ProtobufWriter to, int field, JsonElement values)
    {
        foreach (var value in values.EnumerateArray())
        {
            to.Text(field, value.GetString()!);
        }
    }

    private static void Flag(ProtobufWriter to, int field, JsonElement parameter)
    {
        if (parameter.TryGetProperty("required", out var required) && required.GetBoolean())
        {
            to.Varint(field, 1);
        }
    }

    // The document is our own: a member that has no place here is a mistake in the writer.
    private static InvalidOperationException Unknown(string name) => new($"no protobuf field for \"{name}\"");
}
